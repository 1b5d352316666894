"""Augmentation, and masks and joints that follow it."""

import numpy as np
import torch

from reid.training.augmentation import MEAN, STD, Augmentation, augment

STILL = Augmentation(shift=0, scale=0, turn=0, colour=0, grey=0, soft=0, erase=0, block=0, paste=0)


def test_without_strength_only_mirroring_is_left():
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 16, 3), np.uint8)
    out = augment(pictures, np.random.default_rng(3), STILL).pictures
    assert out.shape == (8, 3, 32, 16)
    plain = (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(
        STD
    )[:, None, None]
    same = [torch.allclose(o, p, atol=1e-3) for o, p in zip(out, plain, strict=True)]
    mirrored = [torch.allclose(o, p.flip(2), atol=1e-3) for o, p in zip(out, plain, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert any(same)
    assert any(mirrored)


def test_augmentation_is_seeded():
    pictures = np.random.default_rng(0).integers(0, 256, (6, 64, 32, 3), np.uint8)
    a, b, c = (augment(pictures, np.random.default_rng(seed), Augmentation()).pictures for seed in (5, 5, 6))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.isfinite(a).all()


def dotted(n=16, h=64, w=32):
    """Pictures with one bright dot each, where it is as a joint, and as a label map."""
    rng = np.random.default_rng(0)
    pictures, masks, joints = np.zeros((n, h, w, 3), np.uint8), np.zeros((n, h, w), np.uint8), np.zeros((n, 2, 3))
    for i in range(n):
        y, x = rng.integers(16, h - 16), rng.integers(8, w - 8)
        pictures[i, y - 2 : y + 3, x - 2 : x + 3] = 255
        masks[i, y - 2 : y + 3, x - 2 : x + 3] = 3
        joints[i, 0] = (x + 0.5) / w, (y + 0.5) / h, 2
    return pictures, torch.from_numpy(masks), torch.from_numpy(joints).float()


def test_joints_and_masks_move_with_the_picture():
    pictures, masks, joints = dotted()
    moves = Augmentation(shift=0.05, scale=0.1, turn=8, colour=0, grey=0, soft=0, erase=0, block=0, paste=0)
    out = augment(pictures, np.random.default_rng(1), moves)
    moved = out.move_joints(joints, pairs=((0, 1),))
    moved_masks = out.move_masks(masks)
    for i in range(len(pictures)):
        row = 1 if out.mirrored[i] else 0
        bright = out.pictures[i].mean(0)
        ys, xs = torch.where(bright > bright.max() - 0.5)
        centre = torch.tensor([(xs.float().mean() + 0.5) / 32, (ys.float().mean() + 0.5) / 64])
        torch.testing.assert_close(moved[i, row, :2], centre, atol=0.03, rtol=0)
        assert moved[i, row, 2] == 2
        labelled = bright[moved_masks[i] == 3]
        assert labelled.mean() > bright.mean() + 1
    assert out.mirrored.any()
    assert not out.mirrored.all()


def test_what_is_covered_is_hidden_and_becomes_background():
    pictures, masks, joints = dotted()
    covering = Augmentation(shift=0, scale=0, turn=0, colour=0, grey=0, soft=0, erase=1, block=1, paste=1)
    out = augment(pictures, np.random.default_rng(2), covering)
    moved, moved_masks = out.move_joints(joints, pairs=()), out.move_masks(masks)
    assert (moved_masks[out.covered] == 0).all()
    for i in range(len(pictures)):
        x, y = int(moved[i, 0, 0] * 32), int(moved[i, 0, 1] * 64)
        assert moved[i, 0, 2] == (1 if out.covered[i, y, x] else 2)
    assert (moved[:, 0, 2] == 1).any()
    assert (moved[:, 0, 2] == 2).any()


def test_a_block_rises_from_an_edge_in_one_colour():
    pictures = np.full((64, 64, 32, 3), 200, np.uint8)
    only_block = Augmentation(shift=0, scale=0, turn=0, colour=0, grey=0, soft=0, erase=0, block=1, paste=0)
    out = augment(pictures, np.random.default_rng(4), only_block)
    for picture, covered in zip(out.pictures, out.covered, strict=True):
        assert 0.2 <= covered.float().mean() <= 0.5
        assert covered[0].all() or covered[-1].all() or covered[:, 0].all() or covered[:, -1].all()
        assert (picture[:, covered].std(1) < 1e-4).all()
    assert not out.crossed.any()
    assert out.covered[:, -1, 16].float().mean() > 0.3  # from below more often than from anywhere else


def test_another_person_walks_in_by_their_silhouette():
    pictures = np.zeros((2, 64, 32, 3), np.uint8)
    pictures[1] = 255
    silhouettes = np.zeros((2, 64, 32), bool)
    silhouettes[:, 10:54, 10:22] = True
    only_paste = Augmentation(shift=0, scale=0, turn=0, colour=0, grey=0, soft=0, erase=0, block=0, paste=1, crowd=0)
    out = [augment(pictures, np.random.default_rng(s), only_paste, silhouettes) for s in range(20)]
    assert all(torch.equal(one.crossed, one.covered) for one in out)
    share = torch.stack([one.covered for one in out]).float().mean((2, 3))
    assert (share > 0.02).float().mean() > 0.8
    assert share.max() < 0.5


def test_in_a_crowd_another_stands_beside_what_is_left():
    pictures = np.zeros((2, 64, 32, 3), np.uint8)
    pictures[:, :, 12:20] = 100, 0, 0
    pictures[1, :, 12:20] = 0, 100, 0
    only_crowd = Augmentation(shift=0, scale=0, turn=0, colour=0, grey=0, soft=0, erase=0, block=0, paste=1, crowd=1)
    seen = set()
    for seed in range(20):
        out = augment(pictures, np.random.default_rng(seed), only_crowd, np.zeros((2, 64, 32), bool))
        bright = (out.pictures * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]) * 255
        for i, covered in enumerate(out.covered):
            columns = covered.all(0)
            assert (covered.any(0) == columns).all()
            assert 6 <= columns.sum() <= 16  # 20 to 50 %
            assert bool(columns[0]) != bool(columns[-1])
            own, other = bright[i, i, :, columns].max() > 90, bright[i, 1 - i, :, columns].max() > 90
            assert own or other  # somebody stands there: the same picture by chance, or the other
            seen.add((i, bool(columns[0]), bool(other)))
    assert {(i, left, True) for i in (0, 1) for left in (True, False)} <= seen


def test_pictures_are_read_where_the_grid_says():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    moves = Augmentation(shift=0.05, scale=0.1, turn=8, colour=0, grey=0, soft=0, erase=0, block=0, paste=0)
    out = augment(pictures, np.random.default_rng(1), moves)
    grid = torch.nn.functional.affine_grid(out.theta, [4, 3, 64, 32], align_corners=False)
    plain = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    plain = torch.nn.functional.grid_sample(plain, grid, "bilinear", "border", False)
    found = out.pictures * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    assert (found - plain).abs().mean() < 0.01


def test_colours_change_within_their_strength():
    pictures = np.full((64, 16, 16, 3), (120, 80, 40), np.uint8)
    recoloured = Augmentation(shift=0, scale=0, turn=0, colour=0.2, grey=0, soft=0, erase=0, block=0, paste=0)
    out = augment(pictures, np.random.default_rng(0), recoloured).pictures
    colours = (out * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]).mean((2, 3)) * 255
    assert (colours.std(0) > 3).all()
    assert ((colours - torch.tensor([120.0, 80, 40])).abs() < torch.tensor([60.0, 45, 45])).all()


def test_a_smaller_batch_can_be_asked_for():
    pictures, _, joints = dotted()
    out = augment(pictures, np.random.default_rng(1), STILL, size=(32, 16))
    assert out.pictures.shape == (16, 3, 32, 16)
    moved = out.move_joints(joints, pairs=())
    bright = out.pictures.mean(1).flatten(1).argmax(1)
    found = torch.stack([bright % 16, bright // 16], 1) + 0.5
    assert ((moved[:, 0, :2] * torch.tensor([16, 32]) - found).abs() <= 1.5).all()
