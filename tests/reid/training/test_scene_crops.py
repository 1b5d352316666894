"""Crops are what their plan says: place, size, colour, and things of others."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reid.datasets import CAMVID_VOID
from reid.training.scene_crops import BEYOND, SceneCrops, mix, recolour
from reid.training.scenes import THINGS, Plan, SceneAugmentation, Scenes, plan_crops
from tests.reid.training.test_scenes import frame

STILL = SceneAugmentation(scale=(1, 1), mirror=0, seek=0, mix=0, light=0, tint=0, saturation=0)


def crop(picture, labels, size, seed=0, settings=STILL, count=1):
    """The crops as pictures (N, h, w, 3) from 0 to 255, and their labels."""
    scenes = Scenes(picture[None], labels[None])
    plan = plan_crops(scenes, np.zeros(count, int), size, np.random.default_rng(seed), settings)
    make = SceneCrops(scenes)
    seen, truth = make(plan)
    return (seen * make.deviation + make.mean).permute(0, 2, 3, 1).numpy(), truth.numpy()


def test_a_crop_at_rest_is_the_frame():
    picture, labels = frame()
    seen, truth = crop(picture, labels, (24, 32))
    assert np.array_equal(truth[0], labels)
    np.testing.assert_allclose(seen[0], picture, atol=0.01)


def test_mirroring_is_exact():
    picture, labels = frame()
    seen, truth = crop(picture, labels, (24, 32), settings=replace(STILL, mirror=1))
    assert np.array_equal(truth[0], labels[:, ::-1])
    np.testing.assert_allclose(seen[0], picture[:, ::-1], atol=0.01)


@pytest.mark.parametrize("seed", range(20))
def test_picture_and_labels_move_together(seed):
    """Each class has a colour of its own: away from edges, where bilinear mixing is, the crop must keep to it."""
    picture, labels = frame(96, 128, seed)
    settings = replace(STILL, scale=(0.9, 2), mirror=0.5, seek=0.5)
    (seen,), (truth,) = crop(picture, labels, (64, 80), seed, settings)
    assert seen.shape == (64, 80, 3)
    inside = truth != CAMVID_VOID
    assert (np.abs(seen[..., 0] - truth * 20.0) <= 2)[inside].mean() > 0.4


def test_beyond_the_frame_lies_void():
    picture, labels = frame()
    (seen,), (truth,) = crop(picture, labels, (24, 32), settings=replace(STILL, scale=(0.5, 0.5)))
    assert (truth != CAMVID_VOID).sum() == 12 * 16, "a frame smaller than its crop stays whole"
    outside = truth == CAMVID_VOID
    far = outside & ~np.pad(~outside, 1)[2:, 1:-1] & ~np.pad(~outside, 1)[:-2, 1:-1]
    far &= ~np.pad(~outside, 1)[1:-1, 2:] & ~np.pad(~outside, 1)[1:-1, :-2]
    np.testing.assert_allclose(seen[far], np.broadcast_to(BEYOND, (far.sum(), 3)), atol=0.01)


def test_rare_classes_are_sought():
    labels = np.zeros((96, 128), np.uint8)
    labels[10:12, 100:102] = 10
    picture = np.zeros((96, 128, 3), np.uint8)

    def share(seek):
        _, truth = crop(picture, labels, (96, 128), settings=replace(STILL, scale=(4, 4), seek=seek), count=60)
        return (truth == 10).any((1, 2)).mean()

    assert share(1.0) > share(0.0) + 0.2


def test_void_alone_gives_a_crop_all_the_same():
    labels = np.full((24, 32), CAMVID_VOID, np.uint8)
    _, truth = crop(np.zeros((24, 32, 3), np.uint8), labels, (8, 8), settings=replace(STILL, seek=1))
    assert (truth == CAMVID_VOID).all()


def test_recolouring_is_what_its_map_says():
    pictures = torch.tensor([[200.0, 100.0, 50.0]]).view(1, 3, 1, 1)
    same = torch.eye(3, 4)[None]
    assert torch.equal(recolour(pictures, same), pictures)
    brighter = torch.tensor([[[1.5, 0, 0, 0], [0, 1, 0, 10.0], [0, 0, 1, -60.0]]])
    assert recolour(pictures, brighter).flatten().tolist() == [255, 110, 0]


def test_recolouring_draws_light_and_saturation():
    picture, labels = frame()
    scenes = Scenes(picture[None], labels[None])

    def colours(**settings):
        given = replace(STILL, **settings)
        return plan_crops(scenes, np.zeros(50, int), (24, 32), np.random.default_rng(0), given).colours

    assert torch.equal(colours(), torch.eye(3, 4).expand(50, 3, 4))
    grey = torch.tensor([100.0, 100.0, 100.0, 1.0])
    assert torch.allclose(colours(saturation=0.4) @ grey, torch.full((50, 3), 100.0), atol=1e-3)
    light = colours(light=0.35) @ grey
    assert light.std() > 5
    assert torch.allclose(light[:, 0], light[:, 1]), "light has no colour"


def test_things_move_into_another_crop_and_the_street_stays():
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 12, (2, 40, 50)))
    pictures = torch.tensor([100.0, 200.0]).view(2, 1, 1, 1).expand(2, 3, 40, 50)
    taken = torch.zeros(2, 12, dtype=torch.bool)
    taken[0, [THINGS[0], THINGS[3]]] = True
    still = plan_crops(Scenes(*(x[None] for x in frame())), np.zeros(2, int), (24, 32), np.random.default_rng(0), STILL)
    plan: Plan = still._replace(others=torch.tensor([1, 0]), moved=taken)
    seen, truth = mix(pictures, labels, plan)
    moved = (labels[1] == THINGS[0]) | (labels[1] == THINGS[3])
    assert torch.equal(truth[0], torch.where(moved, labels[1], labels[0]))
    assert torch.equal(seen[0, 0] == 200, moved)
    assert torch.equal(truth[1], labels[1])
    assert torch.equal(seen[1], pictures[1])
