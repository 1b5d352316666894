"""Frames and crops for scene parsing."""

from pathlib import Path

import numpy as np
import pytest

from reid.datasets import CAMVID_VOID
from reid.errors import DatasetError
from reid.images import save_image
from reid.training.scenes import (
    THINGS,
    SceneAugmentation,
    camvid,
    crop_scene,
    join,
    mix_things,
    read_scenes,
    recolour,
    streets,
)

STILL = SceneAugmentation(scale=(1, 1), mirror=0, seek=0, light=0, tint=0, saturation=0)


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


def test_a_crop_at_rest_is_the_frame():
    picture, labels = frame()
    cropped, truth = crop_scene(picture, labels, (24, 32), np.random.default_rng(0), STILL)
    assert np.array_equal(cropped, picture)
    assert np.array_equal(truth, labels)


@pytest.mark.parametrize("seed", range(20))
def test_picture_and_labels_move_together(seed):
    """Each class has a colour of its own: away from edges, where bilinear mixing is, the crop must keep to it."""
    picture, labels = frame(96, 128, seed)
    settings = SceneAugmentation(scale=(0.9, 2), light=0, tint=0, saturation=0)
    cropped, truth = crop_scene(picture, labels, (64, 80), np.random.default_rng(seed), settings)
    assert cropped.shape == (64, 80, 3)
    assert truth.shape == (64, 80)
    seen = truth != CAMVID_VOID
    agree = np.abs(cropped[..., 0].astype(int) - truth * 20) <= 2
    assert agree[seen].mean() > 0.4, "away from edges, where colours mix"
    assert (cropped[~seen] == (124, 116, 104)).all(1).mean(initial=1.0, where=True) if (~seen).any() else True


def test_a_frame_smaller_than_its_crop_stays_whole():
    picture, labels = frame()
    settings = SceneAugmentation(scale=(0.5, 0.5))
    _, truth = crop_scene(picture, labels, (24, 32), np.random.default_rng(0), settings)
    assert (truth != CAMVID_VOID).sum() == 12 * 16


def test_mirroring_is_exact():
    picture, labels = frame()
    settings = SceneAugmentation(scale=(1, 1), mirror=1, light=0, tint=0, saturation=0)
    cropped, truth = crop_scene(picture, labels, (24, 32), np.random.default_rng(0), settings)
    assert np.array_equal(truth, labels[:, ::-1])
    assert np.array_equal(cropped, picture[:, ::-1])


def test_rare_classes_are_sought():
    labels = np.zeros((96, 128), np.uint8)
    labels[10:12, 100:102] = 10
    picture = np.zeros((96, 128, 3), np.uint8)
    rng = np.random.default_rng(0)

    def share(seek):
        settings = SceneAugmentation(scale=(4, 4), seek=seek)
        return np.mean([(crop_scene(picture, labels, (96, 128), rng, settings)[1] == 10).any() for _ in range(60)])

    assert share(1.0) > share(0.0) + 0.2


def test_void_alone_gives_a_crop_all_the_same():
    labels = np.full((24, 32), CAMVID_VOID, np.uint8)
    settings = SceneAugmentation(seek=1)
    _, truth = crop_scene(np.zeros((24, 32, 3), np.uint8), labels, (8, 8), np.random.default_rng(0), settings)
    assert (truth == CAMVID_VOID).all()


def test_recolouring_changes_light_and_nothing_at_rest():
    picture, _ = frame()
    rng = np.random.default_rng(0)
    assert np.array_equal(recolour(picture, rng, STILL), picture)
    assert not np.array_equal(recolour(picture, rng, SceneAugmentation()), picture)


def test_things_move_into_another_crop_and_the_street_stays():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 12, (2, 40, 50)).astype(np.uint8)
    crops = [(np.full((40, 50, 3), 100 * (i + 1), np.uint8), labels[i]) for i in range(2)]
    seen = set()
    for seed in range(20):
        mixed = mix_things(crops, np.random.default_rng(seed), 1.0)
        for (picture, truth), (own, before), (_, there) in zip(mixed, crops, crops[::-1], strict=True):
            moved = (picture != own).any(2)
            assert np.isin(there[moved], THINGS).all()
            assert np.array_equal(truth[moved], there[moved])
            assert np.array_equal(truth[~moved], before[~moved])
            for label in np.unique(there[moved]):  # a class comes whole or not at all
                assert moved[there == label].all()
                seen.add(label)
    assert seen == set(THINGS)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(mix_things(crops, rng, 0.0), crops, strict=True))
