"""Each row trains what it says, has the pieces it says, and no more."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from benchmarks import ablation
from benchmarks.ablation import ROWS, TRUNK, Partial, Trained, network
from models.gpn.anatomy import JOINTS, LABELS
from reid.training.body_losses import FULL_PARSE, Bodies
from reid.training.gpn import Group
from reid.training.loop import fit
from reid.training.people import People


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 16
    pictures = rng.integers(0, 256, (n, *ablation.SIZE, 3), np.uint8)
    identities = np.arange(n) // 4
    joints = torch.cat([torch.rand(n, len(JOINTS), 2), torch.full((n, len(JOINTS), 1), 2.0)], 2)
    bodies = Bodies(
        joints,
        torch.randn(n, len(JOINTS), 3),
        torch.from_numpy(rng.integers(0, len(LABELS), (n, *ablation.MASK), np.uint8)),
        torch.full((n,), FULL_PARSE),
    )
    return People(pictures, identities, np.zeros(n, np.int64)), bodies, [Group(np.arange(n), people=2, views=2)]


def test_every_row_adds_to_the_one_before():
    for before, row in pairwise(ROWS):
        assert set(before.losses) <= set(row.losses)
        assert (before.parts, before.joint_graph, before.part_graph) <= (row.parts, row.joint_graph, row.part_graph)
        assert before.losses != row.losses or (before.joint_graph, before.part_graph) != (
            row.joint_graph,
            row.part_graph,
        )


def test_a_row_trains_its_losses_alone_and_embeds(people, tmp_path):
    row = ROWS[0]
    weights = fit(Partial(row, *people, epochs=1, steps=1), tmp_path, say=lambda line: None)
    backend = Trained(row, weights)
    backend.load()
    out = backend.embed(list(people[0].pictures[:3]))
    assert out.global_.shape == (3, 512 + 4 * 128)
    assert not backend.card.parts


def test_losses_that_a_row_lacks_reach_no_weight(people):
    recipe = Partial(ROWS[0], *people, epochs=1, steps=1)
    model = recipe.build()
    losses = recipe.losses(model, next(iter(recipe.batches(0))))
    assert set(losses) == set(TRUNK)
    sum(losses.values()).backward()
    assert all(p.grad is None for p in model.net.parse.parameters())
    assert any(p.grad is not None for p in model.net.fea.parameters())


def test_without_a_graph_parts_and_joints_keep_to_themselves():
    torch.manual_seed(0)
    apart = network(ROWS[3]).eval()
    joints = torch.randn(1, len(JOINTS), apart.joint_graph.enter.in_features - 6)
    where, metres, seen = torch.rand(1, 17, 2), torch.randn(1, 17, 3), torch.ones(1, 17)
    alone = apart.joint_graph(joints, where, metres, seen)
    joints[0, 5] += 1
    changed = (apart.joint_graph(joints, where, metres, seen) != alone).any(2)[0]
    assert changed.nonzero().flatten().tolist() == [5]
    whole = network(ROWS[-1]).eval()
    told = whole.joint_graph(joints, where, metres, seen)
    joints[0, 5] += 1
    assert (whole.joint_graph(joints, where, metres, seen) != told).any(2).sum() > 1
