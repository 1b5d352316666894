"""The rival of the finders answers as they do, from the weights that its training left."""

import numpy as np
from safetensors.torch import save_file

from benchmarks.finding import Rival, finders
from reid.training.faster_rcnn import FasterRCNN


def test_the_rival_finds_in_the_frame_it_is_shown(tmp_path, monkeypatch):
    net = FasterRCNN()
    net.net.roi_heads.box_predictor.cls_score.bias.data[1] = 9.0  # whatever it is shown is a person
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    monkeypatch.setenv("PARTWISE_RIVAL", str(tmp_path / "w.safetensors"))
    monkeypatch.setenv("PARTWISE_BACKENDS", "nothing")
    (rival,) = finders()
    assert isinstance(rival, Rival)
    found = rival.find(np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8))
    assert len(found.xyxy)
    assert set(found.labels) == {"person"}
    assert (found.xyxy[:, 2] <= 200).all()
    assert (found.xyxy[:, 3] <= 300).all()
