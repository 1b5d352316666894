"""The shared optimiser and schedule."""

import pytest
from torch import nn

from reid.training.schedule import adamw, warm_cosine


def test_the_rate_rises_in_a_line_and_falls_to_its_floor():
    assert warm_cosine(0.0, 0.1) == 0.01
    assert warm_cosine(0.05, 0.1) == pytest.approx(0.5)
    assert warm_cosine(0.1, 0.1) == pytest.approx(1)
    assert warm_cosine(0.55, 0.1) == pytest.approx(0.505)
    assert warm_cosine(1.0, 0.1) == pytest.approx(0.01)


def test_biases_and_norms_do_not_decay():
    optimiser = adamw(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), 1e-3, 0.1)
    decayed, others = optimiser.param_groups
    assert decayed["weight_decay"] == 0.1
    assert [p.ndim for p in decayed["params"]] == [2]
    assert others["weight_decay"] == 0
    assert len(others["params"]) == 3


def test_a_part_may_learn_more_slowly_than_the_rest():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 5))
    optimiser = adamw(model, 1e-3, 0.1, slow=model[0], eager=3)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    assert {rates[id(p)] for p in model[0].parameters()} == {1e-3}
    for p in [*model[1].parameters(), *model[2].parameters()]:
        assert rates[id(p)] == pytest.approx(3e-3)
