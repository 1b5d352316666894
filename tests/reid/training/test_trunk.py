"""The trunk's recipe: a few steps lower the loss; the teacher's losses vanish where student and teacher agree."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.gpn.fea_net import FeaNet
from models.trunk import TrunkConfig
from reid.training.blends import Blends
from reid.training.labelled import Labelled
from reid.training.loop import fit
from reid.training.people import People
from reid.training.trunk import TrunkRecipe, TrunkTraining, follow_teacher

TINY = TrunkConfig(stem=8, channels=(8, 12, 16, 24), depths=(1, 1, 1, 1), bottleneck=8)


def coloured_people(n=8, views=6, seed=0):
    rng = np.random.default_rng(seed)
    upper, lower = rng.integers(0, 256, (2, n, 3))
    pictures = np.zeros((n * views, 64, 32, 3), np.uint8)
    pictures[:, :32], pictures[:, 32:] = (np.repeat(c, views, 0)[:, None, None] for c in (upper, lower))
    noise = rng.integers(-20, 20, pictures.shape)
    taught = np.repeat(np.eye(n, 16, dtype=np.float32), views, 0)
    identities = np.repeat(np.arange(n), views)
    return People((pictures + noise).clip(0, 255).astype(np.uint8), identities, np.zeros(n * views, int), taught)


def test_training_lowers_the_loss_and_ships_fea_net(tmp_path):
    recipe = TrunkRecipe(coloured_people(), epochs=8, config=TINY, batch_people=4, batch_views=4, rate=3e-3)
    recipe.build = build_with_dim(recipe, 16)
    weights = fit(recipe, tmp_path, say=lambda line: None)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["identity"] < log[0]["identity"]
    assert log[-1]["direction"] < log[0]["direction"]
    FeaNet(TINY, dim=16).load_state_dict(load_file(weights))


def test_a_growing_run_starts_small():
    people = coloured_people()
    people.pictures = np.tile(people.pictures, (1, 1, 2, 1))  # 64 x 64
    recipe = TrunkRecipe(people, epochs=4, config=TINY, batch_people=4, batch_views=4, grow=0.5)
    sizes = [next(recipe.batches(epoch))[0].shape[2:] for epoch in range(4)]
    assert sizes == [(48, 48), (48, 48), (64, 64), (64, 64)]


def test_a_resumed_run_needs_no_start(tmp_path):
    start = tmp_path / "start.safetensors"
    save_file(FeaNet(TINY, dim=256).state_dict(), start)

    def run(epochs, resume):
        recipe = TrunkRecipe(coloured_people(), epochs=epochs, start=start, config=TINY, batch_people=4, teach=0.0)
        return load_file(fit(recipe, tmp_path / "run", resume=resume, say=lambda line: None))

    run(1, resume=False)
    start.unlink()
    run(2, resume=True)
    with pytest.raises(FileNotFoundError):
        run(2, resume=False)


def build_with_dim(recipe, dim):
    return lambda fresh: TrunkTraining(FeaNet(TINY, dim=dim), recipe.people.n_identities)


def test_following_a_teacher_costs_nothing_once_there():
    teacher = torch.nn.functional.normalize(torch.randn(12, 8), dim=1)
    losses = follow_teacher(teacher * 3, teacher)
    assert losses["direction"].abs() < 1e-5
    assert losses["neighbours"].abs() < 1e-5
    away = follow_teacher(torch.randn(12, 8), teacher)
    assert away["direction"] > 0.5
    assert away["neighbours"] > 0.1


def test_rows_without_a_teacher_are_left_out():
    teacher = torch.zeros(6, 8)
    assert follow_teacher(torch.randn(6, 8), teacher) == {}
    teacher[:2] = torch.nn.functional.normalize(torch.randn(2, 8), dim=1)
    student = torch.randn(6, 8)
    student[:2] = teacher[:2]
    assert follow_teacher(student, teacher)["direction"] < 1e-5


def test_things_are_learnt_beside_people(tmp_path):
    rng = np.random.default_rng(1)
    base = rng.integers(0, 256, (4, 1, 1, 3)).repeat(6, 0)
    pictures = (base + rng.integers(-20, 20, (24, 64, 32, 3))).clip(0, 255).astype(np.uint8)
    told = np.repeat(np.eye(4, 12, dtype=np.float32), 6, 0)
    things = Labelled(pictures, np.repeat(np.arange(4), 6), ("bus", "horse", "rose", "sea"), told)
    recipe = TrunkRecipe(
        coloured_people(),
        things=things,
        epochs=8,
        config=TINY,
        batch_people=4,
        batch_views=4,
        batch_things=8,
        rate=3e-3,
    )
    recipe.build = lambda fresh: TrunkTraining(FeaNet(TINY, dim=16), recipe.people.n_identities, things)
    weights = fit(recipe, tmp_path, say=lambda line: None)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for loss in ("identity", "things", "direction of things"):
        assert log[-1][loss] < log[0][loss], loss
    FeaNet(TINY, dim=16).load_state_dict(load_file(weights))  # the heads stay behind


def test_things_change_nothing_about_the_people_drawn():
    rng = np.random.default_rng(1)
    things = Labelled(rng.integers(0, 256, (8, 64, 32, 3), np.uint8), np.arange(8) % 4, ("a", "b", "c", "d"))
    alone, both = (
        next(TrunkRecipe(coloured_people(), things=t, epochs=1, batch_people=4).batches(0)) for t in (None, things)
    )
    count = len(alone.identities)
    assert torch.equal(alone.pictures, both.pictures[:count])
    assert torch.equal(alone.identities, both.identities)
    assert len(both.pictures) == count + len(both.labels)


def blends_of(people, count=6):
    """The upper half of one person over the lower half of another; the teacher sees half of each."""
    rng = np.random.default_rng(2)
    pairs = rng.integers(len(people), size=(count, 2))
    taught = people.taught[pairs].mean(1)
    taught /= np.linalg.norm(taught, axis=1, keepdims=True)
    return Blends(pairs, np.tile(np.float32([1, 0]), (count, 1)), np.full(count, 0.5, np.float32), taught)


def test_blends_stand_between_people_and_things_and_change_neither():
    people, rng = coloured_people(), np.random.default_rng(1)
    things = Labelled(rng.integers(0, 256, (8, 64, 32, 3), np.uint8), np.arange(8) % 4, ("a", "b", "c", "d"))
    blends = blends_of(people)

    def first(blends):
        recipe = TrunkRecipe(people, blends=blends, things=things, epochs=1, batch_people=4, batch_blends=5)
        return next(recipe.batches(0))

    without, with_blends = first(None), first(blends)
    count = len(without.identities)
    assert torch.equal(without.pictures[:count], with_blends.pictures[:count])
    assert torch.equal(without.pictures[count:], with_blends.pictures[count + 5 :])
    assert torch.equal(with_blends.taught[:count], without.taught)
    for row in with_blends.taught[count:].numpy():
        assert np.abs(blends.taught - row).sum(1).min() == 0
    assert torch.equal(without.identities, with_blends.identities)


def test_the_teacher_is_followed_on_blends_too(tmp_path):
    people = coloured_people()
    blends = blends_of(people, 30)
    recipe = TrunkRecipe(people, blends=blends, epochs=12, config=TINY, batch_people=4, batch_blends=8, rate=3e-3)
    recipe.build = build_with_dim(recipe, 16)
    weights = fit(recipe, tmp_path, say=lambda line: None)
    net = FeaNet(TINY, dim=16).eval()
    rows = torch.from_numpy(np.stack([blends.picture(people.pictures, i) for i in range(len(blends))]))
    mean, std = (torch.tensor(x)[:, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = (rows.permute(0, 3, 1, 2).float() / 255 - mean) / std

    def agrees():
        with torch.inference_mode():
            said = torch.nn.functional.normalize(net(x)["embedding"], dim=1)
        return (said * torch.from_numpy(blends.taught)).sum(1).mean().item()

    before = agrees()
    net.load_state_dict(load_file(weights))
    assert agrees() > before + 0.2
