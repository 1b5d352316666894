"""Galleries of regions: everyone in frames and footage, with box, frame and time; runs go on; nothing but people."""

import cv2
import numpy as np
import pytest

from reid.backends import Backend, Boxes, get
from reid.backends.registry import Card
from reid.datasets import Sample
from reid.galleries import Library
from reid.search import index
from reid.search.query import search
from reid.search.refined import search_fused
from reid.search.regions import MOST, crop, index_regions, worth_keeping

COLOURS = {"red": (200, 20, 20), "green": (20, 180, 20), "blue": (20, 20, 200)}


class ColourFinder(Backend):
    """Finds coloured rectangles on grey."""

    card = Card(name="colour-finder", family="region network", subject="any", does=("find",), summary="Finds colour.")
    looks = 0

    def load(self):
        pass

    def find(self, frame, progress=None):
        self.looks += 1
        coloured = (frame.max(2).astype(int) - frame.min(2) > 80).astype(np.uint8)
        rows = cv2.connectedComponentsWithStats(coloured)[2][1:].tolist()
        boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in rows if w > 5], np.float32).reshape(-1, 4)
        return Boxes(boxes, ("person",) * len(boxes), np.full(len(boxes), 0.9, np.float32))


def frame(*people) -> np.ndarray:
    picture = np.full((120, 200, 3), 128, np.uint8)
    for colour, x, y in people:
        picture[y : y + 60, x : x + 24] = COLOURS[colour]
    return picture


@pytest.fixture
def street(tmp_path):
    """Two pictures and a video of five seconds, in which a blue person comes after two."""
    cv2.imwrite(str(tmp_path / "a.png"), frame(("red", 10, 10), ("green", 100, 30))[..., ::-1])
    cv2.imwrite(str(tmp_path / "b.png"), frame()[..., ::-1])
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 4, (200, 120))
    for i in range(20):
        people = [("blue", 10 + 4 * i, 40)] if i >= 8 else []
        writer.write(frame(*people)[..., ::-1])
    writer.release()
    return [Sample(tmp_path / name, name) for name in ("a.png", "b.png", "v.avi")]


@pytest.fixture
def gallery(tmp_path):
    return Library(tmp_path / "data").create("street")


def test_everyone_is_found_and_found_again(street, gallery):
    backend = get("hsv-stripes")
    told = []
    report = index_regions(
        gallery, street, ColourFinder(), [backend], every=4, progress=lambda done, total: told.append((done, total))
    )
    assert (report.frames, report.added, report.empty, report.failures) == (7, 5, 3, [])
    assert told[-1] == (7, 7)
    hits = search(gallery, backend, frame(("blue", 0, 0))[:60, :24], top=5).as_dict()["hits"]
    assert {hit.get("frame") for hit in hits[:3]} == {8, 12, 16}
    first = next(hit for hit in hits if hit.get("frame") == 12)
    assert first["time"] == pytest.approx(3.0)
    assert first["box"] == pytest.approx([58, 40, 82, 100], abs=3)
    assert len(hits) == 4  # of a.png one of its two
    # The region alone comes back out of the frame it lies in.
    item = next(item for item in gallery.items() if item.frame == 12)
    assert np.abs(gallery.picture(item).mean((0, 1)) - COLOURS["blue"]).max() < 40
    assert gallery.whole_picture(item).shape == (120, 200, 3)


def test_of_a_pictures_regions_only_the_best_is_a_hit(tmp_path, gallery):
    backend = get("hsv-stripes")
    for name, people in (
        ("a.png", (("red", 10, 10), ("green", 60, 30), ("red", 120, 5))),
        ("b.png", (("blue", 5, 5),)),
    ):
        cv2.imwrite(str(tmp_path / name), frame(*people)[..., ::-1])
    samples = [Sample(tmp_path / name, name) for name in ("a.png", "b.png")]
    assert index_regions(gallery, samples, ColourFinder(), [backend]).added == 4
    red = np.full((60, 24, 3), COLOURS["red"], np.uint8)
    for found in (
        search(gallery, backend, red),
        search(gallery, backend, red, top=2),
        search_fused(gallery, [backend, backend], red, top=2),
    ):
        assert [hit.item.path.name for hit in found.hits] == ["a.png", "b.png"]
        assert found.hits[0].item.box[0] in (10, 120)
        assert found.searched == 4
    assert len(search(gallery, backend, red, top=1).hits) == 1


def test_whole_pictures_with_the_same_bytes_are_two_hits(tmp_path, gallery):
    backend = get("hsv-stripes")
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), frame(("red", 10, 10)))
    index(gallery, [Sample(tmp_path / name, name) for name in ("a.png", "b.png")], backend)
    assert len(search(gallery, backend, frame(("red", 10, 10))).hits) == 2


def test_a_second_run_adds_nothing(street, gallery):
    backend, finder = get("hsv-stripes"), ColourFinder()
    index_regions(gallery, street, finder, [backend], every=4)
    looks = finder.looks
    report = index_regions(gallery, street, finder, [backend], every=4)
    assert (report.added, report.unchanged) == (0, 4)
    assert finder.looks - looks == 3, "only frames without anybody are looked at again"


def test_a_backend_that_comes_later_embeds_what_is_there(street, gallery):
    index_regions(gallery, street, ColourFinder(), [get("hsv-stripes")], every=4)
    report = index_regions(gallery, street, ColourFinder(), [get("hsv-stripes"), get("orb")], every=4)
    assert report.added == 0
    assert gallery.count() == 5
    assert len(gallery.vector_ids(get("orb").recipe_hash())) == 5


def test_what_cannot_be_read_is_named_and_the_rest_is_kept(street, gallery, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no picture")
    data = (tmp_path / "v.avi").read_bytes()
    (tmp_path / "half.avi").write_bytes(data[: len(data) * 3 // 4])
    samples = [Sample(tmp_path / name, name) for name in ("no.png", "half.avi", "gone.mp4", "a.png")]
    said = []
    report = index_regions(
        gallery,
        samples,
        ColourFinder(),
        [get("hsv-stripes")],
        every=4,
        on_error=lambda path, why: said.append(path.name),
    )
    assert said == ["no.png", "half.avi", "gone.mp4"]
    assert "breaks off" in report.failures[1][1]
    assert {item.name.split("#")[0] for item in gallery.items()} >= {"a.png", "half.avi@8"}


def boxes(n, label="person", score=0.9, side=40.0):
    xyxy = np.tile(np.array([[0, 0, side, side]], np.float32), (n, 1))
    return Boxes(xyxy, (label,) * n, np.full(n, score, np.float32))


def test_what_is_worth_keeping():
    assert worth_keeping(boxes(3))[0].tolist() == [0, 1, 2]
    assert len(worth_keeping(boxes(0))[0]) == 0
    assert len(worth_keeping(boxes(3, label="car"))[0]) == 0
    assert len(worth_keeping(boxes(3, label="car"), labels=("person", "car"))[0]) == 3
    assert len(worth_keeping(boxes(3, score=0.3))[0]) == 0
    assert len(worth_keeping(boxes(3, side=9))[0]) == 0
    kept, more = worth_keeping(boxes(MOST + 30))
    assert len(kept) == MOST
    assert more


def test_a_crop_is_never_empty():
    picture = np.zeros((50, 60, 3), np.uint8)
    assert crop(picture, (10.2, 5.7, 20.1, 30.0)).shape == (25, 11, 3)
    assert crop(picture, (-10, -10, 500, 500)).shape == (50, 60, 3)
    assert crop(picture, (59.9, 49.9, 60, 50)).shape == (1, 1, 3)
