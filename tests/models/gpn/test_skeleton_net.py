"""SKELETON NET: positions and metres that can be worked out by hand, shapes, gradients."""

import torch

from models.gpn.anatomy import BONES, JOINTS, MIRRORED
from models.gpn.skeleton_net import SkeletonNet, expect_position, locate, project, sample_at


def peak(h, w, y, x):
    p = torch.zeros(1, 1, h, w)
    p[0, 0, y, x] = 1
    return p


def test_a_peak_is_where_it_is():
    xy = expect_position(peak(8, 4, 6, 1))
    torch.testing.assert_close(xy[0, 0], torch.tensor([1.5 / 4, 6.5 / 8]))


def test_an_even_map_is_in_the_middle():
    torch.testing.assert_close(expect_position(torch.full((1, 1, 8, 4), 1 / 32))[0, 0], torch.tensor([0.5, 0.5]))


def test_features_are_read_at_the_peak():
    features = torch.randn(1, 5, 8, 4)
    torch.testing.assert_close(sample_at(features, peak(8, 4, 3, 2))[0, 0], features[0, :, 3, 2])


def test_outputs_and_gradients():
    net = SkeletonNet(16)
    out = net(torch.randn(3, 16, 16, 8))
    assert out["heat"].shape == (3, 17, 16, 8)
    assert out["xy"].shape == (3, 17, 2)
    assert out["confidence"].shape == (3, 17)
    assert out["xyz"].shape == (3, 17, 3)
    torch.testing.assert_close(out["probability"].sum((2, 3)), torch.ones(3, 17))
    (out["xy"].square().sum() + out["confidence"].sum() + out["xyz"].square().sum()).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_metres_are_read_where_the_joint_is():
    net = SkeletonNet(4).eval()
    heat, place = torch.full((1, 17, 8, 4), -50.0), torch.zeros(1, 51, 4, 2)
    heat[0, :, 5, 3] = 50.0
    place[0, :, 2, 1] = torch.arange(51.0)
    net.heat.forward = lambda x: heat
    net.place.forward = lambda x: place
    out = net(torch.zeros(1, 4, 8, 4))
    torch.testing.assert_close(out["xyz"][0], torch.arange(51.0).view(17, 3), atol=1e-4, rtol=1e-4)


def test_anatomy_is_symmetric():
    mirror = {a: b for pair in MIRRORED for a, b in (pair, pair[::-1])}
    bones = {frozenset(bone) for bone in BONES}
    assert {frozenset(mirror.get(j, j) for j in bone) for bone in bones} == bones
    for a, b in MIRRORED:
        assert JOINTS[a].replace("left", "right") == JOINTS[b]


def test_a_joint_is_located_at_its_peak_whatever_lies_far_away():
    heat = torch.full((2, 3, 32, 16), 0.0)
    heat[:, :, 20, 4] = 6.0
    heat[:, :, 20, 5] = 6.0
    expected = torch.tensor([5.0 / 16, 20.5 / 32])
    torch.testing.assert_close(locate(heat, radius=1)[1, 2], expected, atol=0.01, rtol=0)
    assert (expect_position(heat.flatten(2).softmax(2).view_as(heat))[0, 0] - expected).abs().max() > 0.05
    heat[0, 0] = torch.randn(32, 16)
    heat[0, 0, 0, 15] = 50.0  # a peak in the corner is cut by the border, not moved by it
    torch.testing.assert_close(locate(heat)[0, 0], torch.tensor([15.5 / 16, 0.5 / 32]))


def test_a_skeleton_in_space_lies_where_its_joints_do():
    torch.manual_seed(0)
    xyz = torch.randn(2, 17, 3)
    xy = torch.stack([0.5 + 0.3 * xyz[..., 0], 0.4 + 0.15 * xyz[..., 1]], 2)  # a picture half as wide as high
    torch.testing.assert_close(project(xyz, xy, torch.ones(2, 17)), xy)
    # One joint that is elsewhere in the picture hardly moves the rest, and not at all if it counts for nothing.
    wrong, weight = xy.clone(), torch.ones(2, 17)
    wrong[:, 16] += 0.3
    weight[:, 16] = 1e-9
    torch.testing.assert_close(project(xyz, wrong, weight), xy, atol=1e-5, rtol=0)
    assert (project(xyz, wrong, torch.ones(2, 17)) - xy)[:, :16].abs().max() < 0.1


def test_a_skeleton_of_one_point_lies_in_the_middle_of_its_joints():
    xy = torch.rand(1, 17, 2)
    there = project(torch.zeros(1, 17, 3), xy, torch.ones(1, 17))
    torch.testing.assert_close(there, xy.mean(1, keepdim=True).expand(1, 17, 2))


def test_of_two_peaks_the_one_that_the_body_expects_is_believed():
    heat = torch.zeros(1, 2, 32, 16)
    heat[:, :, 20, 3], heat[:, :, 20, 12] = 9.0, 8.8
    left, right = torch.tensor([3.5 / 16, 20.5 / 32]), torch.tensor([12.5 / 16, 20.5 / 32])
    expected = torch.stack([left, right])[None]
    torch.testing.assert_close(locate(heat)[0], torch.stack([left, left]), atol=0.02, rtol=0)
    torch.testing.assert_close(locate(heat, expected)[0], expected[0], atol=0.02, rtol=0)
    # A peak that is far the highest stays, wherever it was expected.
    heat[:, :, 20, 3] = 30.0
    torch.testing.assert_close(locate(heat, expected)[0], torch.stack([left, left]), atol=0.02, rtol=0)
