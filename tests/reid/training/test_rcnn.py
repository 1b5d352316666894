"""R-CNN's recipe and the rival's: batches hold what they should, a few steps lower the losses."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.boxes import CLASSES, decode
from models.gpn.fea_net import FeaNet
from models.rcnn import RCNN
from models.trunk import TrunkConfig
from reid.errors import WeightsError
from reid.training.faster_rcnn import FasterRCNNRecipe
from reid.training.frames import WindowSettings
from reid.training.loop import fit
from reid.training.rcnn import RCNNRecipe, begin
from reid.training.rfcn import FrameSource

from .street_frames import street_frames

TINY = TrunkConfig(stem=8, channels=(8, 12, 16, 24), depths=(1, 1, 1, 1), bottleneck=8)


def test_training_lowers_the_losses_and_ships_the_network(tmp_path):
    recipe = RCNNRecipe(
        [(street_frames(tmp_path, 6), 1.0)], epochs=4, config=TINY, rate=4e-3, frames=12, size=2, regions=12
    )
    weights = fit(recipe, tmp_path / "run", say=lambda line: None)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["class"] < 0.8 * log[0]["class"]
    RCNN(TINY).load_state_dict(load_file(weights))


def test_a_batch_holds_objects_and_none(tmp_path):
    recipe = RCNNRecipe([(street_frames(tmp_path, 3), 1.0)], epochs=1, config=TINY, size=3, regions=24)
    pictures, labels, deltas = next(recipe.batches(0))
    assert len(pictures) == len(labels) == len(deltas)
    assert (labels == 0).any()
    assert 3 * 8 >= (labels > 0).sum() >= 3 * 4
    # People are dark blue and cars yellow here: a region with one has its colour in its middle.
    middle = pictures[:, :, 48:80, 24:40].mean((2, 3))
    assert (middle[labels == CLASSES.index("car"), 0] > middle[labels == CLASSES.index("person"), 0].max()).all()
    # What the deltas lead to overlaps the region they start from.
    unit = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(len(deltas), 4)
    moved = decode(deltas, unit)[labels > 0]
    assert ((moved[:, 2:] - moved[:, :2]) > 0.3).all()


def test_a_trunk_is_taken_over():
    donor = FeaNet(TINY)
    network = RCNN(TINY)
    begin(network, donor.state_dict())
    assert all(torch.equal(v, donor.trunk.state_dict()[k]) for k, v in network.trunk.state_dict().items())
    with pytest.raises(WeightsError, match="trunk"):
        begin(network, {"classify.weight": torch.zeros(4, 4)})


def test_the_rival_trains_on_the_same_windows(tmp_path):
    windows = WindowSettings(size=(96, 128), zoom=(0.8, 1.2), area=96 * 128, paste=0)
    recipe = FasterRCNNRecipe(FrameSource([(street_frames(tmp_path, 2), 1.0)], windows), epochs=1, size=2)
    torch.manual_seed(0)
    model = recipe.build()
    losses = recipe.losses(model, next(recipe.batches(0)))
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total)
    assert all(p.grad is not None for p in model.net.roi_heads.parameters())
    (found,) = model.eval().detect(torch.zeros(1, 3, 96, 128), least=0.0, most=7)
    assert len(found.boxes) == len(found.labels) == len(found.scores) <= 7
    assert not np.isin(found.labels.numpy(), [0]).any()
