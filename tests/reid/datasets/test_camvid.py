"""CamVid's frames find their label maps."""

from pathlib import Path

import numpy as np
import pytest

from reid.datasets import CAMVID_CLASSES, CAMVID_VOID, read_camvid, read_folder
from reid.errors import DatasetError
from reid.images import load_labels, save_image


def test_frames_and_label_maps_are_paired(tmp_path: Path):
    for name in ("b", "a"):
        save_image(tmp_path / "test" / f"{name}.png", np.zeros((16, 16, 3), np.uint8))
        save_image(tmp_path / "testannot" / f"{name}.png", np.full((16, 16), CAMVID_VOID, np.uint8))
    save_image(tmp_path / "test" / "odd.png", np.zeros((16, 16, 3), np.uint8))
    skipped: list[str] = []
    pairs = read_camvid(tmp_path, on_skip=lambda path, reason: skipped.append(f"{path.name}: {reason}"))
    assert [pair.name for pair in pairs] == ["a.png", "b.png"]
    assert pairs[0].labels == tmp_path / "testannot" / "a.png"
    assert (load_labels(pairs[0].labels) == len(CAMVID_CLASSES)).all()
    assert skipped == ["odd.png: no label map of this name in testannot"]
    assert next((s.name, s.split) for s in read_folder(tmp_path)) == ("test/a.png", "test")


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(DatasetError, match="it has no test"):
        read_camvid(tmp_path)
    with pytest.raises(DatasetError, match="no split 'night'"):
        read_camvid(tmp_path, "night")
    (tmp_path / "test").mkdir()
    (tmp_path / "testannot").mkdir()
    with pytest.raises(DatasetError, match="no frame of test"):
        read_camvid(tmp_path)
