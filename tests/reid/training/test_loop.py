"""The loop: loss falls, a broken-off run resumes to the very same weights, a foreign checkpoint is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from reid.errors import WeightsError
from reid.training.loop import fit
from reid.training.steps import AveragedWeights


class Line:
    """Fits y = 2x - 1 with a tiny network; random batches, dropout: resuming must restore all of it."""

    name = "line"

    def __init__(self, epochs=6):
        self.epochs = epochs

    def build(self, fresh=True):
        return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 1))

    def optimiser(self, model):
        return torch.optim.AdamW(model.parameters(), lr=0.05)

    def learning_rate(self, progress):
        return 1 - 0.5 * progress

    def steps(self, epoch):
        return 10

    def batches(self, epoch):
        for _ in range(10):
            x = torch.randn(16, 1)
            yield x, 2 * x - 1

    def losses(self, model, batch):
        x, y = batch
        return {"square": (model(x) - y).square().mean()}

    def evaluate(self, model, epoch):
        return {"weight": float(model[0].weight.sum())}

    def shipped(self, model):
        return dict(model.state_dict())


def quiet(line):
    pass


def test_loss_falls_and_every_epoch_is_logged(tmp_path):
    fit(Line(), tmp_path, say=quiet)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == list(range(6))
    assert log[-1]["square"] < 0.7 * log[0]["square"]


def test_a_broken_off_run_resumes_exactly(tmp_path):
    whole = load_file(fit(Line(), tmp_path / "whole", say=quiet))
    fit(Line(), tmp_path / "broken", stop_after=0, say=quiet)
    assert len((tmp_path / "broken" / "log.jsonl").read_text().splitlines()) == 1
    resumed = load_file(fit(Line(), tmp_path / "broken", resume=True, say=quiet))
    assert whole.keys() == resumed.keys()
    for key in whole:
        assert torch.equal(whole[key], resumed[key]), key


def test_another_recipes_checkpoint_is_refused(tmp_path):
    fit(Line(1), tmp_path, say=quiet)
    other = Line(2)
    other.name = "curve"
    with pytest.raises(WeightsError, match="'line', not 'curve'"):
        fit(other, tmp_path, resume=True, say=quiet)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    class Broken(Line):
        def losses(self, model, batch):
            return {"nan": model(batch[0]).sum() * float("nan")}

    with pytest.raises(FloatingPointError, match="epoch 0, step 0"):
        fit(Broken(), tmp_path, say=quiet)


def test_averaged_weights_follow_the_model():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    averaged = AveragedWeights(model, 0.5)
    nn.init.ones_(model.weight)
    for _ in range(50):
        averaged.advance()
        averaged.blend(model)
    assert averaged.state["weight"].item() == pytest.approx(1, abs=1e-4)
