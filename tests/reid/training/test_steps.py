"""Steps: what a batch is made of, averages, and on a GPU that a recorded step does what it did before."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from reid.training.steps import AveragedWeights, Stepper, count, onto


class Batch(NamedTuple):
    x: Tensor
    y: Tensor
    weight: float


def squares(model, batch):
    return {"square": batch.weight * (model(batch.x) - batch.y).square().mean()}


def stepper(device="cpu", rate=0.1):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, fused=True)
    averaged = AveragedWeights(model, 0.9)
    return Stepper(squares, model, optimiser, averaged, 5.0), model, averaged


def batches(n=12):
    generator = torch.Generator().manual_seed(1)
    for i in range(n):
        x = torch.randn(8, 2, generator=generator)
        yield Batch(x, x.sum(1, keepdim=True), 1.0 + i % 2)


def test_a_batch_moves_whole_and_is_counted():
    batch = (next(batches()), 3)
    moved = onto(batch, torch.device("meta"))
    assert isinstance(moved[0], Batch)
    assert moved[0].x.device.type == moved[0].y.device.type == "meta"
    assert (moved[0].weight, moved[1]) == (1.0, 3)
    assert count(batch) == count(batch[0]) == 8


def test_sums_are_taken_once():
    step, model, _ = stepper(rate=0.0)
    given = list(batches(3))
    expected = sum(squares(model, batch)["square"].item() for batch in given)
    for batch in given:
        step(batch, 1.0)
    assert step.take_sums()["square"] == pytest.approx(expected, rel=1e-5)
    assert step.take_sums()["square"] == 0


def test_the_rate_is_that_of_the_step():
    step, model, _ = stepper()
    before = model[0].weight.clone()
    step(next(batches()), 0.0)
    assert torch.equal(model[0].weight, before)
    step(next(batches()), 1.0)
    assert not torch.equal(model[0].weight, before)


def test_a_loss_that_is_no_number_stops_at_once():
    step, _, _ = stepper()
    with pytest.raises(FloatingPointError, match="nan"):
        step(next(batches())._replace(weight=float("nan")), 1.0)


def test_a_run_goes_on_where_its_optimiser_was_not():
    _, model, averaged = stepper()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    optimiser.param_groups[0]["capturable"] = True  # as a GPU's checkpoint has it
    before = model[0].weight.clone()
    Stepper(squares, model, optimiser, averaged, 5.0)(next(batches()), 1.0)
    assert optimiser.param_groups[0]["capturable"] is False
    assert not torch.equal(model[0].weight, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_recorded_steps_do_what_steps_on_the_processor_do():
    ends = []
    for device in ("cpu", "cuda"):
        step, model, averaged = stepper(device)
        for i, batch in enumerate(batches(20)):
            step(batch, 1 - i / 40)
        sums = step.take_sums()
        ends.append((model[0].weight.detach().cpu(), averaged.state["3.weight"].cpu(), sums["square"]))
    for own, other in zip(*ends, strict=True):
        assert torch.allclose(torch.as_tensor(own), torch.as_tensor(other), rtol=1e-3, atol=1e-4)
