"""Frames in COCO's format: boxes as corners, crowds set apart, other things passed over, errors as sentences."""

import json

import numpy as np
import pytest

from reid.datasets.coco import read_coco
from reid.errors import DatasetError

DOCUMENT = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "sub/b.jpg"}],
    "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 17, "name": "cat"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 60]},
        {"image_id": 7, "category_id": 17, "bbox": [1, 2, 3, 4]},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 50.5, 20], "iscrowd": 1},
        {"image_id": 7, "category_id": 1, "bbox": [5, 5, 0, 10]},
    ],
}


@pytest.mark.parametrize("place", ["truth/coco.json", "coco.json", "annotations.json"])
def test_boxes_and_labels(tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(DOCUMENT))
    first, second = read_coco(tmp_path)
    assert first.path == tmp_path / "a.jpg"
    np.testing.assert_allclose(first.boxes, [[10, 20, 40, 80], [0, 0, 50.5, 20]])
    assert first.labels == ("person", "car")
    assert first.doubtful.tolist() == [False, True]
    np.testing.assert_allclose(first.of("person"), [[10, 20, 40, 80]])
    assert first.of("car").shape == (0, 4)
    assert second.name == "sub/b.jpg"
    assert second.boxes.shape == (0, 4)


def test_a_file_by_name_finds_its_pictures_beside_it(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(DOCUMENT))
    assert read_coco(tmp_path / "mine.json")[0].path == tmp_path / "a.jpg"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": 3}', json.dumps({**DOCUMENT, "images": []})])
def test_what_is_not_cocos_format_is_said(tmp_path, text):
    (tmp_path / "coco.json").write_text(text)
    with pytest.raises(DatasetError, match="COCO"):
        read_coco(tmp_path)


def test_a_folder_without_boxes_is_said(tmp_path):
    with pytest.raises(DatasetError, match=r"coco\.json"):
        read_coco(tmp_path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_coco(tmp_path / "nowhere.json")
