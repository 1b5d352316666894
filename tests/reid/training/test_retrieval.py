"""The retrieval recipe: heads a source, a schedule that freezes, teachers, orders and whitenings."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.retrieval import TRUNKS, build
from reid.backends.retrieval import assemble
from reid.errors import DatasetError
from reid.training.labelled import Labelled
from reid.training.loop import fit
from reid.training.retrieval import Options, RetrievalRecipe, order_of, stages_that_learn
from reid.training.whitening import learn_whitening
from tests.reid.training.shapes import drawn, tiny


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    monkeypatch.setitem(TRUNKS, "alexnet.partwise", (tiny, 24, True))


def textures(classes=("a", "b", "c"), each=8, teacher=0, size=32):
    rng = np.random.default_rng(1)
    pictures = np.stack([drawn(kind, rng, size) for kind in range(len(classes)) for _ in range(each)])
    labels = np.repeat(np.arange(len(classes)), each)
    taught = np.eye(teacher, dtype=np.float32)[labels] if teacher else None
    return Labelled(pictures, labels, tuple(classes), taught)


def losses_of(recipe, folder):
    weights = fit(recipe, folder, say=lambda line: None)
    return weights, [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_two_sources_train_one_network_each_by_a_head_of_its_own(tmp_path):
    options = Options(epochs=6, classes=3, views=4, rate=5e-3)
    sources = [textures(teacher=16), textures(("1", "2", "3"))]
    weights, log = losses_of(RetrievalRecipe("alexnet.partwise", sources, options), tmp_path)
    for key in ("class 0", "class 1", "direction 0"):
        assert log[-1][key] < log[0][key]
    assert "direction 1" not in log[0]
    net = assemble("alexnet.partwise", load_file(weights), "it")
    assert net(torch.randn(1, 3, 32, 32)).shape == (1, 24)


def test_the_schedule_freezes_and_thaws_from_the_last_stage():
    learning = [stages_that_learn(p, 4, frozen=0.2, thawed=0.6) for p in (0, 0.19, 0.2, 0.35, 0.45, 0.55, 0.6, 1)]
    assert learning == [0, 0, 1, 2, 3, 4, 4, 4]
    assert stages_that_learn(0, 5, 0, 0) == 5


def test_what_is_frozen_stays_as_it_was():
    options = Options(epochs=2, classes=3, views=4, frozen=0.5, thawed=0.5, norms=False)
    recipe = RetrievalRecipe("alexnet.partwise", [textures()], options, start=build("alexnet.partwise").state_dict())
    model = recipe.build()
    model.train()
    before = {k: v.clone() for k, v in model.net.state_dict().items()}
    optimiser = recipe.optimiser(model)

    def step(epoch):
        model.train()
        for batch in recipe.batches(epoch):
            sum(recipe.losses(model, batch).values()).backward()
            optimiser.step()
            optimiser.zero_grad()

    step(0)
    assert all(torch.equal(v, before[k]) for k, v in model.net.state_dict().items())
    step(1)
    after = model.net.state_dict()
    assert not torch.equal(after["trunk.conv1.0.weight"], before["trunk.conv1.0.weight"])
    # Norms keep what they knew of other pictures, even while their scales learn.
    assert torch.equal(after["neck.running_mean"], before["neck.running_mean"])


def test_ordered_classes_are_learnt_by_regression(tmp_path):
    options = Options(epochs=6, classes=3, views=4, rate=2e-3, ordered=True)
    _, log = losses_of(RetrievalRecipe("alexnet.partwise", [textures(("1", "2", "10"))], options), tmp_path)
    assert log[-1]["order"] < log[0]["order"]


def test_orders_are_read_from_names():
    assert order_of(["1", "2.5", "10"]).tolist() == [1, 2.5, 10]
    assert order_of(["3,5"]).tolist() == [3.5]
    assert order_of(["1", "two"]) is None
    assert order_of(["nan"]) is None


def test_triplets_are_optional(tmp_path):
    recipe = RetrievalRecipe("alexnet.partwise", [textures()], Options(epochs=1, classes=3, views=4, metric=0.5))
    batch = next(recipe.batches(0))
    assert set(recipe.losses(recipe.build(), batch)) == {"class", "triplet"}


def test_a_growing_run_starts_small():
    recipe = RetrievalRecipe("alexnet.partwise", [textures(size=64)], Options(epochs=4, classes=3, views=4, grow=0.5))
    assert [next(recipe.batches(epoch)).pictures.shape[2] for epoch in range(4)] == [48, 48, 64, 64]


def test_a_whitening_is_learnt_at_the_end_and_ships(tmp_path):
    many = textures(each=20)  # more pictures than channels
    recipe = RetrievalRecipe("alexnet.partwise", [many], Options(epochs=1, classes=3, views=20, whiten=8))
    weights = fit(recipe, tmp_path, say=lambda line: None)
    net = assemble("alexnet.partwise", load_file(weights), "it")
    assert net.dim == 8


class TestWhitening:
    def test_what_comes_out_is_centred_and_equally_spread(self):
        rng = np.random.default_rng(0)
        vectors = (rng.normal(size=(500, 6)) * [5, 3, 1, 1, 0.5, 0.1] + 2).astype(np.float32)
        mean, matrix = learn_whitening(vectors, 4)
        assert matrix.shape == (4, 6)
        out = (vectors - mean) @ matrix.T
        np.testing.assert_allclose(out.mean(0), 0, atol=1e-3)
        np.testing.assert_allclose(np.cov(out.T), np.eye(4), atol=2e-2)

    def test_too_few_vectors_or_too_many_axes_are_refused(self):
        with pytest.raises(DatasetError, match="there are 5"):
            learn_whitening(np.ones((5, 6), np.float32), 2)
        with pytest.raises(DatasetError, match="1 to 6"):
            learn_whitening(np.ones((50, 6), np.float32), 7)
