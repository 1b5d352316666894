"""Rendered streets: COCO truth, label maps and instances agree."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid.errors import PartwiseError
from reid.rendering import render_streets
from reid.rendering.solids import CAMVID, CLASS


def _coco(folder: Path) -> dict:
    return json.loads((folder / "truth" / "coco.json").read_text(encoding="utf-8"))


def test_frames_and_maps_have_the_size_asked_for(streets: Path) -> None:
    pictures = sorted(streets.glob("*.jpg"))
    assert len(pictures) == 3
    for path in pictures:
        labels = cv2.imread(str(streets / "truth" / "labels" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED)
        assert labels.shape == (240, 320)
        assert cv2.imread(str(path)).shape == (240, 320, 3)
        assert labels.max() < len(CAMVID)
        assert len(np.unique(labels)) >= 3


def test_boxes_bound_instances_and_instances_lie_on_their_class(streets: Path) -> None:
    coco = _coco(streets)
    names = {image["id"]: Path(image["file_name"]).stem for image in coco["images"]}
    classes = {1: CLASS["pedestrian"], 2: CLASS["bicyclist"], 3: CLASS["car"]}
    assert coco["annotations"]
    for found in coco["annotations"]:
        name = names[found["image_id"]]
        instances = cv2.imread(str(streets / "truth" / "instances" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        labels = cv2.imread(str(streets / "truth" / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        own = instances == found["instance"]
        rows, columns = np.nonzero(own)
        x, y, w, h = found["bbox"]
        assert [x, y, x + w, y + h] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert found["area"] == own.sum()
        assert (labels[own] == classes[found["category_id"]]).all()
        fx, fy, fw, fh = found["full_bbox"]
        assert fx <= x + 1
        assert fy <= y + 1
        assert fx + fw >= x + w - 1.5
        assert fy + fh >= y + h - 1.5
        assert (found["identity"] > 0) == (found["category_id"] == 1)


def test_everybody_walks_on_the_ground(streets: Path) -> None:
    """Whoever is seen whole stands with the feet below the horizon."""
    coco = _coco(streets)
    people = [a for a in coco["annotations"] if a["category_id"] == 1]
    assert people
    for found in people:
        assert found["full_bbox"][1] + found["full_bbox"][3] > 240 * 0.2


def test_streets_are_the_same_again(streets: Path, tmp_path: Path) -> None:
    again = render_streets(tmp_path, 1, seed=3, size=(240, 320), processes=1)
    assert (again / "0001_01.jpg").read_bytes() == (streets / "0001_01.jpg").read_bytes()
    labels = Path("truth") / "labels" / "0001_01.png"
    assert (again / labels).read_bytes() == (streets / labels).read_bytes()


@pytest.mark.parametrize(("count", "options"), [(0, {}), (1, {"seed": -2}), (1, {"size": (10, 10)}), (1, {"views": 0})])
def test_bad_options_get_one_clear_line(count: int, options: dict, tmp_path: Path) -> None:
    with pytest.raises(PartwiseError) as caught:
        render_streets(tmp_path / "out", count, **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
