"""Windows on frames: boxes stay on what they name through cutting, scaling, mirroring and pasting."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.boxes import CLASSES
from reid.backends.frames import AREA
from reid.datasets.coco import AnnotatedFrame
from reid.training.body_losses import FULL_PARSE, NO_PARSE
from reid.training.frames import Cutouts, WindowSettings, batch, window
from reid.training.sources import Table

from .street_frames import street_frames

PLAIN = WindowSettings(size=(96, 128), zoom=(0.5, 1.5), area=96 * 128, colour=0, grey=0, soft=0, paste=0)
PERSON = CLASSES.index("person")


@pytest.fixture
def frame(tmp_path):
    return street_frames(tmp_path, 1)[0]


def is_person(view: np.ndarray) -> np.ndarray:
    return (np.abs(view.astype(int) - (20, 20, 160)) < 30).all(2)


def test_boxes_follow_their_people(frame):
    rng, seen = np.random.default_rng(0), 0
    for _ in range(40):
        view, target = window(frame, PLAIN, rng)
        assert view.shape == (96, 128, 3)
        for box in target.boxes[target.labels == PERSON]:
            x0, y0, x1, y1 = box.round().int().tolist()
            inside = is_person(view)[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2]
            if inside.size:
                assert inside.mean() > 0.6
                outside = is_person(view)
                outside[max(y0 - 2, 0) : y1 + 2, max(x0 - 2, 0) : x1 + 2] = False
                assert not outside.any()
                seen += 1
        assert (target.boxes >= 0).all()
        assert (target.boxes[:, 2] <= 128).all()
        assert (target.boxes[:, 3] <= 96).all()
    assert seen > 15


def test_what_is_hardly_seen_is_doubtful(frame):
    rng = np.random.default_rng(1)
    kinds = [window(frame, PLAIN, rng)[1] for _ in range(60)]
    assert any(len(k.doubtful) for k in kinds)
    small = replace(PLAIN, zoom=(0.2, 0.21), near=0)
    _, target = window(frame, small, rng)
    assert len(target.boxes) == 0, "32 pixels become 6: too few to name"


def test_doubt_is_kept(frame):
    doubtful = AnnotatedFrame(frame.path, frame.name, frame.boxes, frame.labels, np.array([True, True]))
    rng = np.random.default_rng(0)
    targets = [window(doubtful, PLAIN, rng)[1] for _ in range(20)]
    assert all(len(t.boxes) == 0 for t in targets)
    assert any(len(t.doubtful) for t in targets)


def test_frames_are_seen_at_the_scale_of_inference(frame):
    whole = replace(PLAIN, size=(576, 768), zoom=(1, 1), area=AREA, stretch=0, near=0)
    _, target = window(frame, whole, np.random.default_rng(0))
    heights = target.boxes[:, 3] - target.boxes[:, 1]
    assert heights[target.labels == PERSON].max() == pytest.approx(64, abs=1)  # at most twice as large


def crops(folder, scheme) -> Table:
    import cv2

    picture = np.full((64, 32, 3), (200, 30, 30), np.uint8)
    cv2.imwrite(str(folder / "crop.png"), picture[..., ::-1])
    masks = np.zeros((1, 32, 16), np.uint8)
    masks[0, 2:30, 4:12] = 3
    nothing = np.zeros((1, 17, 3), np.float32)
    return Table([folder / "crop.png"], ["1"], nothing, nothing, masks, np.array([scheme]))


def test_people_are_pasted_with_their_boxes(frame, tmp_path):
    cutouts = Cutouts([crops(tmp_path, FULL_PARSE)])
    assert len(cutouts) == 1
    rng, many = np.random.default_rng(0), replace(PLAIN, paste=3.0)
    more = 0
    for _ in range(20):
        view, target = window(frame, many, rng, cutouts)
        red = (view[..., 0] > view[..., 2].astype(int) + 60) & (view[..., 1] < 140)
        for box in target.boxes[target.labels == PERSON].round().int().tolist():
            x0, y0, x1, y1 = box
            more += red[y0:y1, x0:x1].mean() > 0.5
    assert more > 10


def test_crops_without_masks_are_passed_over(tmp_path):
    assert len(Cutouts([crops(tmp_path, NO_PARSE)])) == 0


def test_a_batch_is_normalised(frame):
    rng = np.random.default_rng(0)
    x, targets = batch([window(frame, PLAIN, rng) for _ in range(3)])
    assert x.shape == (3, 3, 96, 128)
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.abs().max() < 4
    assert len(targets) == 3
