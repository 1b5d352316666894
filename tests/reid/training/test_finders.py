"""What the region networks train on: sets by name, shares, and what is said where none is given."""

import json

import cv2
import numpy as np
import pytest

from reid.backends import Boxes
from reid.datasets.camvid import CAMVID_CLASSES
from reid.errors import DatasetError
from reid.training.finders import due, figures, groups, validation
from reid.training.recipes import RECIPES, Settings

from .street_frames import street_frames


@pytest.fixture
def data(tmp_path):
    """A folder of frames in COCO's format, and CamVid's layout with one person a frame."""
    streets, camvid = tmp_path / "streets", tmp_path / "camvid"
    streets.mkdir()
    frames = street_frames(streets, 3)
    categories = {"person": 1, "bicycle": 2, "car": 3}
    notes = []
    for number, frame in enumerate(frames):
        for (x0, y0, x1, y1), label in zip(frame.boxes.tolist(), frame.labels, strict=True):
            notes.append({"image_id": number, "category_id": categories[label], "bbox": [x0, y0, x1 - x0, y1 - y0]})
    document = {
        "images": [{"id": number, "file_name": frame.name} for number, frame in enumerate(frames)],
        "annotations": notes,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
    (streets / "coco.json").write_text(json.dumps(document))
    for split in ("train", "val"):
        (camvid / split).mkdir(parents=True)
        (camvid / f"{split}annot").mkdir()
        labels = np.zeros((96, 128), np.uint8)
        labels[20:80, 30:50] = CAMVID_CLASSES.index("pedestrian")
        cv2.imwrite(str(camvid / split / "a.png"), np.full((96, 128, 3), 90, np.uint8))
        cv2.imwrite(str(camvid / f"{split}annot" / "a.png"), labels)
    return {"streets": streets, "camvid": camvid, "streets-val": streets}


def test_sets_and_shares(data):
    found = groups(data)
    assert [len(frames) for frames, _ in found] == [3, 1]
    assert found[0][1] > found[1][1] > 0
    assert {name: len(frames) for name, frames in validation(data).items()} == {"streets": 3, "camvid": 1}
    assert validation({"streets": data["streets"]}) == {}


def test_figures_are_named_by_set(data):
    def find(frame):
        return Boxes(np.array([[30, 20, 50, 80]], np.float32), ("person",), np.ones(1, np.float32))

    found = figures(find, validation(data))
    assert found["camvid_person_AP50"] == 100
    assert found["streets_car_AP50"] == 0


def test_the_last_epoch_is_always_measured():
    assert [epoch for epoch in range(7) if due(epoch, 7, 3, {"a": []})] == [2, 5, 6]
    assert not due(6, 7, 3, {})


@pytest.mark.parametrize("name", ["rfcn", "rcnn", "faster-rcnn"])
def test_recipes_are_made_of_folders(data, name):
    recipe = RECIPES[name](data, Settings(epochs=2))
    assert recipe.name == name
    assert recipe.epochs == 2
    assert recipe.steps(0) == 1
    assert set(recipe.validation) == {"streets", "camvid"}


@pytest.mark.parametrize("name", ["rfcn", "rcnn", "faster-rcnn"])
def test_a_recipe_without_frames_says_what_to_give(name):
    with pytest.raises(DatasetError, match="--data streets"):
        RECIPES[name]({}, Settings())
