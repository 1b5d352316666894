"""Losses of the body: zero at the truth, growing away from it, blind to what is unknown."""

import math

import pytest
import torch

from models.gpn.anatomy import PARTS
from reid.training.body_losses import (
    COARSE_GROUPS,
    COARSE_PARSE,
    FULL_PARSE,
    NO_PARSE,
    SILHOUETTE,
    hiding_loss,
    joint_losses,
    metre_loss,
    overlap_loss,
    parse_loss,
    visible_parts,
)


def skeleton(xy, heat=None):
    n, j, _ = xy.shape
    heat = torch.zeros(n, j, 16, 8) if heat is None else heat
    return {"heat": heat, "xy": xy, "confidence": torch.zeros(n, j)}


def test_joints_at_the_truth_cost_no_distance():
    truth = torch.rand(2, 17, 3)
    truth[..., 2] = 2
    assert joint_losses(skeleton(truth[..., :2]), truth)["place"] == 0
    # One tenth of the height off is as far as one fifth of the width off.
    down, aside = truth[..., :2] + torch.tensor([0, 0.1]), truth[..., :2] + torch.tensor([0.2, 0])
    a, b = (joint_losses(skeleton(xy), truth)["place"] for xy in (down, aside))
    torch.testing.assert_close(a, b)
    assert a == pytest.approx(1.0, abs=1e-4)


def test_unknown_joints_count_nowhere():
    truth = torch.rand(1, 17, 3)
    truth[..., 2] = 0
    losses = joint_losses(skeleton(torch.rand(1, 17, 2), torch.randn(1, 17, 16, 8)), truth)
    assert all(value == 0 for value in losses.values())


def test_heat_wants_its_peak_at_the_joint():
    truth = torch.tensor([[[0.5 / 8 + 3 / 8, 0.5 / 16 + 5 / 16, 2.0]]]).expand(1, 17, 3)
    right, wrong = torch.zeros(1, 17, 16, 8), torch.zeros(1, 17, 16, 8)
    right[:, :, 5, 3] = 9
    wrong[:, :, 9, 3] = 9
    xy = truth[..., :2]
    assert joint_losses(skeleton(xy, right), truth)["heat"] < joint_losses(skeleton(xy, wrong), truth)["heat"]


def test_metres_ignore_unknown_joints():
    truth = torch.zeros(1, 3, 3)
    truth[0, 2] = math.nan
    out = torch.zeros(1, 3, 3, requires_grad=True)
    loss = metre_loss(out + torch.tensor([0.1, 0.2, 0.3]), truth)
    assert loss.item() == pytest.approx(0.6)
    loss.backward()
    assert torch.isfinite(out.grad).all()
    assert metre_loss(out, torch.full((1, 3, 3), math.nan)) == 0


def test_merged_labels_compete_as_one():
    masks = torch.full((1, 4, 4), 2)  # "skin" in the coarse scheme
    scheme = torch.tensor([COARSE_PARSE])
    for label in COARSE_GROUPS[2]:
        logits = torch.zeros(1, 11, 4, 4)
        logits[:, label] = 20
        assert parse_loss(logits, masks, scheme) < 1e-4
    logits = torch.zeros(1, 11, 4, 4)
    logits[:, 4] = 20
    assert parse_loss(logits, masks, scheme) > 10


def test_silhouettes_and_full_maps():
    logits = torch.zeros(2, 11, 4, 4)
    logits[:, 7] = 20
    person = torch.ones(2, 4, 4, dtype=torch.long)
    assert parse_loss(logits, person, torch.tensor([SILHOUETTE] * 2)) < 1e-4
    assert parse_loss(logits, person, torch.tensor([FULL_PARSE] * 2)) > 10
    assert parse_loss(logits, person * 7, torch.tensor([FULL_PARSE] * 2)) < 1e-4


def test_overlap_hears_small_things():
    masks = torch.zeros(2, 32, 32, dtype=torch.long)
    masks[:, 4:20, 4:20] = 4
    masks[0, 4:8, 4:8] = 10  # a hat
    without = torch.where(masks == 10, 4, masks)
    sure = [50.0 * torch.nn.functional.one_hot(labels, 11).permute(0, 3, 1, 2) for labels in (masks, without)]
    scheme = torch.tensor([FULL_PARSE, FULL_PARSE])
    assert overlap_loss(sure[0], masks, scheme) == pytest.approx(0, abs=1e-5)
    # Of background, clothes and hat, the last is missed: a third, though it has less than one pixel in a hundred.
    assert overlap_loss(sure[1], masks, scheme) == pytest.approx((1 + 4 / 128) / 3, abs=5e-3)
    assert overlap_loss(sure[1], masks.clamp(max=1), torch.tensor([SILHOUETTE] * 2)) == 0


def test_pictures_without_a_map_and_unknown_pixels_count_nowhere():
    logits = torch.randn(2, 11, 4, 4, requires_grad=True)
    masks = torch.full((2, 4, 4), 255)
    assert parse_loss(logits, masks, torch.tensor([NO_PARSE, FULL_PARSE])) == 0
    assert overlap_loss(logits, masks, torch.tensor([NO_PARSE, FULL_PARSE])) == 0


def test_visible_parts_follow_joints_and_masks():
    joints = torch.zeros(2, 17, 3)
    joints[..., 2] = 2
    joints[:, 15:, 2] = 1  # ankles hidden
    masks = torch.zeros(2, 20, 10, dtype=torch.long)
    masks[0, :10] = 4
    masks[0, 12] = 9
    target, known = visible_parts(joints, masks, torch.tensor([FULL_PARSE, NO_PARSE]))
    part = {name: i for i, name in enumerate(PARTS)}
    assert target[0, part["torso"]] == 1
    assert target[0, part["feet"]] == 0
    assert target[0, part["bag"]] == 1
    assert known[0].all()
    assert not known[1, part["bag"]]
    assert target[1, part["feet"]] == 0
    assert target[1, part["head"]] == 1


def test_hiding_is_learnt_at_the_maps_own_size():
    covered = torch.zeros(1, 8, 8, dtype=torch.bool)
    covered[:, :, 4:] = True
    right = torch.tensor([[-9.0, 9.0], [-9.0, 9.0]])[None]
    assert hiding_loss(right, covered) < 1e-3
    assert hiding_loss(-right, covered) > 5
    covered[:, :, 2:4] = True  # half of the left places: as well one as the other
    assert hiding_loss(torch.zeros(1, 2, 2), covered) == pytest.approx(math.log(2), abs=1e-5)
