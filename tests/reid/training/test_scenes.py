"""Frames and crops for scene parsing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reid.datasets import CAMVID_VOID
from reid.errors import DatasetError
from reid.images import save_image
from reid.training.scenes import (
    MOST_PLACES,
    THINGS,
    SceneAugmentation,
    Scenes,
    camvid,
    join,
    plan_crops,
    read_scenes,
    streets,
)


def frame(height=24, width=32, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 11, (height // 4, width // 4), np.uint8).repeat(4, 0).repeat(4, 1)
    return (labels[..., None] * np.array([20, 10, 5])).astype(np.uint8), labels


def write(root: Path, folder: str, maps: str, name: str, height=24, width=32):
    picture, labels = frame(height, width)
    save_image(root / folder / f"{name}.png", picture)
    save_image(root / maps / f"{name}.png", labels)


def test_camvid_is_read_split_by_split(tmp_path):
    write(tmp_path, "train", "trainannot", "a")
    write(tmp_path, "val", "valannot", "b")
    both = camvid(tmp_path, ["train", "val"], (24, 32))
    assert both.pictures.shape == (2, 24, 32, 3)
    assert np.array_equal(both.labels[0], frame()[1])
    assert len(join([both, camvid(tmp_path, ["val"], (24, 32))])) == 3


def test_other_sizes_cover_the_frame_and_keep_their_aspect(tmp_path):
    write(tmp_path, "train", "trainannot", "wide", 24, 64)
    found = camvid(tmp_path, ["train"], (24, 32))
    assert np.array_equal(found.labels[0], frame(24, 64)[1][:, 16:48])
    half = camvid(tmp_path, ["train"], (12, 16))
    assert np.array_equal(half.labels[0], found.labels[0][::2, ::2])
    assert np.array_equal(half.pictures[0, ..., 1], half.labels[0] * 10)


def test_streets_come_with_their_truth(tmp_path):
    with pytest.raises(DatasetError, match="--streets"):
        streets(tmp_path, (24, 32))
    picture, labels = frame()
    save_image(tmp_path / "0001_01.jpg", picture)
    save_image(tmp_path / "truth" / "labels" / "0001_01.png", labels)
    assert np.array_equal(streets(tmp_path, (24, 32)).labels[0], labels)


def test_a_map_of_another_size_is_refused(tmp_path):
    save_image(tmp_path / "a.png", frame()[0])
    save_image(tmp_path / "b.png", frame()[1][:, :-1])
    with pytest.raises(DatasetError, match="its frame is"):
        read_scenes([(tmp_path / "a.png", tmp_path / "b.png")], (24, 32))


def test_places_are_pixels_of_their_class():
    labels = np.full((2, 96, 128), CAMVID_VOID, np.uint8)
    labels[0, :, :64], labels[0, 5, 70:73] = 3, 9
    scenes = Scenes(np.zeros((2, 96, 128, 3), np.uint8), labels)
    road, walkers = scenes.places(0)
    assert 0 < len(road) <= MOST_PLACES
    assert (labels[0][tuple(road.T)] == 3).all()
    assert walkers.tolist() == [[5, 70], [5, 71], [5, 72]]
    assert scenes.places(1) == []


def test_a_plan_is_the_same_for_the_same_draws():
    picture, labels = frame(48, 64)
    scenes = Scenes(picture[None], labels[None])
    first, again, other = (
        plan_crops(scenes, np.zeros(3, int), (48, 64), np.random.default_rng(seed), SceneAugmentation())
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(a, b) for a, b in zip(first[:-1], again[:-1], strict=True))
    assert not torch.equal(first.to_frame, other.to_frame)
    assert first.size == (48, 64)


def test_things_alone_move_from_crop_to_crop():
    picture, labels = frame(48, 64)
    scenes = Scenes(picture[None], labels[None])

    def moved(mix):
        settings = SceneAugmentation(mix=mix)
        return plan_crops(scenes, np.zeros(40, int), (48, 64), np.random.default_rng(0), settings).moved

    assert not moved(0).any()
    assert set(moved(1).any(0).nonzero().flatten().tolist()) == set(THINGS)
    assert moved(1)[:, list(THINGS)].float().mean() == pytest.approx(0.5, abs=0.1)
