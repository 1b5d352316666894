"""The two-layer graph: who hears whom, and that what is hidden stays silent."""

import torch

from models.gpn.anatomy import JOINTS, PARTS
from models.gpn.graph import JointGraph, PartGraph, PartPooling, adjacency


def joint_inputs(n=2, c=6):
    return torch.randn(n, 17, c), torch.rand(n, 17, 2), torch.randn(n, 17, 3), torch.ones(n, 17)


def heard_by(change: int, confidence: float = 1.0) -> set[int]:
    """Joints whose output moves when one joint's feature does."""
    torch.manual_seed(0)
    graph = JointGraph(6, 16).eval()
    features, xy, xyz, seen = joint_inputs(1)
    seen[:, change] = confidence
    before = graph(features, xy, xyz, seen)
    features = features.clone()
    features[:, change] += 1
    moved = (graph(features, xy, xyz, seen) - before).abs().amax(2)[0] > 1e-6
    return set(moved.nonzero().flatten().tolist())


def test_a_joint_is_heard_along_bones_and_by_its_mirror_image():
    left_elbow, right_elbow = JOINTS.index("left_elbow"), JOINTS.index("right_elbow")
    shoulder, wrist = JOINTS.index("left_shoulder"), JOINTS.index("left_wrist")
    assert heard_by(left_elbow) == {left_elbow, right_elbow, shoulder, wrist}


def test_an_unseen_joint_tells_nobody():
    left_elbow = JOINTS.index("left_elbow")
    assert heard_by(left_elbow, confidence=0.0) == {left_elbow}


def test_adjacency_is_symmetric_without_loops():
    matrix = adjacency(4, ((0, 1), (1, 3)))
    assert torch.equal(matrix, matrix.T)
    assert matrix.diag().sum() == 0
    assert matrix.sum() == 4


def test_hidden_parts_do_not_change_the_whole():
    torch.manual_seed(0)
    graph = PartGraph(8).eval()
    parts, whole = torch.randn(1, len(PARTS), 8), torch.randn(1, 8)
    visibility = torch.ones(1, len(PARTS))
    visibility[:, 2] = 0
    _, before = graph(parts, whole, visibility)
    parts[:, 2] += 5
    _, after = graph(parts, whole, visibility)
    torch.testing.assert_close(before, after)
    parts[:, 0] += 5
    _, moved = graph(parts, whole, visibility)
    assert not torch.allclose(after, moved)


def test_pooling_reads_masks_and_joints_of_its_own_part():
    torch.manual_seed(0)
    pooling = PartPooling(4, 8, labels=11).eval()
    joints, confidence = torch.randn(1, 17, 8), torch.ones(1, 17)
    local, parse = torch.randn(1, 4, 8, 4), torch.zeros(1, 11, 8, 4)
    parse[:, 8, 7] = 1  # shoes in the last row
    parse[:, 0, :7] = 1
    features, visible = pooling(joints, confidence, local, parse)
    assert features.shape == (1, len(PARTS), 8)
    assert visible.shape == (1, len(PARTS))
    changed = local.clone()
    changed[:, :, 7] += 1
    moved = (pooling(joints, confidence, changed, parse)[0] - features).abs().amax(2)[0] > 1e-6
    assert [PARTS[i] for i in moved.nonzero().flatten()] == ["feet"]


def test_a_person_of_whom_nothing_is_seen_gives_numbers_all_the_same():
    pooling = PartPooling(4, 8, labels=11).eval()
    features, visible = pooling(
        torch.randn(1, 17, 8), torch.zeros(1, 17), torch.randn(1, 4, 8, 4), torch.zeros(1, 11, 8, 4)
    )
    assert torch.isfinite(features).all()
    assert torch.isfinite(visible).all()


def test_all_weights_learn():
    joint, part, pooling = JointGraph(6, 8), PartGraph(8), PartPooling(4, 8, labels=11)
    features, xy, xyz, seen = joint_inputs()
    joints = joint(features, xy, xyz, seen)
    parts, visible = pooling(joints, seen, torch.randn(2, 4, 8, 4), torch.rand(2, 11, 8, 4))
    out, whole = part(parts, torch.randn(2, 8), visible.sigmoid())
    (out.square().sum() + whole.pow(3).sum() + visible.sum()).backward()
    for module in (joint, part, pooling):
        assert [n for n, p in module.named_parameters() if p.grad is None] == []
