"""The finders: boxes in the caller's pixels for frames of any size, a crowd and nobody, and bounded proposals."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from models.boxes import CLASSES
from models.rcnn import RCNN
from models.rfcn import RFCN, Detections, RFCNConfig
from models.trunk import TrunkConfig
from reid.backends import rcnn, rfcn

PERSON = CLASSES.index("person")


def street(size=(240, 320), people=((40, 60, 70, 150), (200, 80, 230, 170))) -> np.ndarray:
    rng = np.random.default_rng(0)
    frame = rng.integers(120, 136, (*size, 3), dtype=np.uint8)
    for x0, y0, x1, y1 in people:
        frame[y0:y1, x0:x1] = (30, 30, 180)
    return frame


class BlueFinder:
    """Finds what is blue in a network's input: a network that was trained perfectly on this street."""

    def detect(self, x, *, least, most):
        blue = (x[0, 2] > x[0, 0] + 1).numpy().astype(np.uint8)
        found = cv2.connectedComponentsWithStats(blue)[2][1:]
        boxes = torch.tensor([[a, b, a + w, b + h] for a, b, w, h, _ in found.tolist()]).float().view(-1, 4)[:most]
        n = len(boxes)
        return [Detections(boxes, torch.full((n,), PERSON), torch.linspace(0.9, 0.5, n))]


@pytest.mark.parametrize("scale", [1, 3, 0.5])
def test_boxes_are_in_the_callers_pixels(scale):
    frame = cv2.resize(street(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = rfcn.find(BlueFinder(), frame)
    assert found.labels == ("person", "person")
    boxes = found.xyxy[np.argsort(found.xyxy[:, 0])] / scale
    np.testing.assert_allclose(boxes, [[40, 60, 70, 150], [200, 80, 230, 170]], atol=2.5)
    assert found.xyxy.dtype == found.scores.dtype == np.float32


def test_a_frame_of_forty_million_pixels():
    frame = np.full((5000, 8000, 3), 128, np.uint8)
    frame[2000:3500, 4000:4600] = (30, 30, 180)
    found = rfcn.find(BlueFinder(), frame)
    np.testing.assert_allclose(found.xyxy, [[4000, 2000, 4600, 3500]], atol=15)


def test_boxes_end_at_the_frames_border():
    found = rfcn.find(BlueFinder(), street((250, 330), [(300, 100, 330, 250)]))
    assert (found.xyxy[:, 2] <= 330).all()
    assert (found.xyxy[:, 3] <= 250).all()


def test_nothing_is_found_in_nothing():
    found = rfcn.find(BlueFinder(), np.full((100, 100, 3), 128, np.uint8))
    assert found.xyxy.shape == (0, 4)
    assert found.labels == ()


def test_a_crowd_is_found():
    people = [(10 + 30 * i, 10 + 60 * j, 20 + 30 * i, 50 + 60 * j) for i in range(20) for j in range(8)]
    assert len(rfcn.find(BlueFinder(), street((500, 620), people)).labels) == 160


@pytest.mark.parametrize("size", [(64, 32), (31, 500), (240, 320)])
def test_an_untrained_network_takes_any_frame(size):
    torch.manual_seed(0)
    net = RFCN(RFCNConfig(channels=(8, 8, 8, 8), depths=(1, 1, 1), width=8, grid=3)).fuse()
    found = rfcn.find(net, street(size, []), least=0.0)
    assert len(found.labels) == len(found.scores) == len(found.xyxy) > 0
    assert (np.diff(found.scores) <= 0).all()
    assert set(found.labels) <= {"person", "car", "bicycle"}


def test_selective_search_proposes_what_stands_out():
    frame = street()
    found = rcnn.selective_search(frame)
    assert 0 < len(found) <= rcnn.REGIONS
    for person in ((40, 60, 70, 150), (200, 80, 230, 170)):
        assert np.abs(found - person).max(1).min() <= 4
    np.testing.assert_array_equal(found, rcnn.selective_search(frame))


@pytest.mark.parametrize(
    "frame", [np.zeros((64, 64, 3), np.uint8), np.zeros((16, 900, 3), np.uint8)], ids=["black", "strip"]
)
def test_selective_search_survives_frames_of_nothing(frame):
    assert rcnn.selective_search(frame).shape[1] == 4


def test_regions_are_looked_at_and_named():
    """A stand-in for the network that knows blue: boxes where people are, in the frame's pixels, each once."""

    def net(x):
        blue = (x[:, 2] - x[:, 0] > 1).float().mean((1, 2))
        logits = torch.zeros(len(x), 4)
        logits[:, PERSON] = 20 * (blue - 0.5)  # a region that is cut well is blue but for its context
        return {"logits": logits, "deltas": torch.zeros(len(x), 4)}

    told = []
    frame = street((1200, 1600), [(200, 300, 350, 750)])
    found = rcnn.look_at(net, frame, rcnn.selective_search(frame), lambda done, total: told.append((done, total)))
    assert found.labels[0] == "person"
    np.testing.assert_allclose(found.xyxy[0], [200, 300, 350, 750], atol=60)
    assert told[-1][0] == told[-1][1] <= rcnn.REGIONS


def test_no_region_is_no_box():
    found = rcnn.look_at(SimpleNamespace(), street(), np.zeros((0, 4), np.float32))
    assert found.labels == ()


def test_an_untrained_region_network_takes_any_region():
    net = RCNN(TrunkConfig(stem=8, channels=(8, 8, 8, 8), depths=(1, 1, 1, 1), bottleneck=8)).eval()
    regions = np.array([[0, 0, 5, 5], [100, 100, 320, 240], [-5, -5, 50, 50]], np.float32)
    found = rcnn.look_at(net, street(), regions)
    assert np.isfinite(found.xyxy).all()
    assert (found.xyxy >= 0).all()
