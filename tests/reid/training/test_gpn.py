"""GPN's recipe: a tiny network trains for a few steps on people that know everything, and its losses fall."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.gpn.network import GPN, GPNConfig
from models.trunk import TrunkConfig
from reid.embedding import Embeddings
from reid.search.parts import part_similarity
from reid.training.body_losses import COARSE_PARSE, FULL_PARSE, Bodies
from reid.training.gpn import GPNRecipe, Group, match_loss
from reid.training.loop import fit
from reid.training.people import People

TINY = GPNConfig(
    trunk=TrunkConfig(stem=8, channels=(8, 12, 16, 24), depths=(1, 1, 1, 1), bottleneck=8),
    dim=16,
    decoder=12,
    part_dim=12,
)


def figures(n=6, views=6, h=64, w=32):
    """Figures of three blocks (head, upper, lower) in colours of their own, standing more or less to the left."""
    rng = np.random.default_rng(0)
    count = n * views
    colours = rng.integers(0, 256, (n, 3, 3))
    pictures, masks = np.full((count, h, w, 3), 128, np.uint8), np.zeros((count, h // 2, w // 2), np.uint8)
    joints = np.zeros((count, 17, 3), np.float32)
    for i in range(count):
        x = int(rng.integers(6, 18))
        for (top, bottom), label, colour in zip(
            ((4, 14), (14, 36), (36, 60)), (1, 4, 5), colours[i // views], strict=True
        ):
            pictures[i, top:bottom, x : x + 10] = colour
            masks[i, top // 2 : bottom // 2, x // 2 : x // 2 + 5] = label
        joints[i, :, 0], joints[i, :, 2] = (x + 5) / w, 2
        joints[i, :, 1] = np.repeat([9, 20, 36, 50, 58], [5, 4, 4, 2, 2]) / h
    xyz = np.zeros((count, 17, 3), np.float32)
    xyz[..., 1] = (joints[..., 1] - 0.55) * 1.8
    taught = np.repeat(np.eye(n, 16, dtype=np.float32), views, 0)
    people = People(pictures, np.repeat(np.arange(n), views), np.zeros(count, int), taught)
    bodies = Bodies(*map(torch.from_numpy, (joints, xyz, masks)), torch.full((count,), FULL_PARSE))
    return people, bodies


def test_a_tiny_gpn_learns_everything_a_little(tmp_path):
    people, bodies = figures()
    people.identities[-6:] = -1  # parsed photos have no identity
    bodies.scheme[-6:] = COARSE_PARSE
    bodies.masks[-6:] = torch.where(bodies.masks[-6:] > 3, bodies.masks[-6:] - 1, bodies.masks[-6:])
    groups = [Group(np.arange(30), people=4, views=4), Group(np.arange(30, 36), people=0, views=2)]
    recipe = GPNRecipe(people, bodies, groups, epochs=3, config=TINY, rate=3e-3, steps_an_epoch=12)
    weights = fit(recipe, tmp_path, say=lambda line: None)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for name in ("identity", "parts", "heat", "place", "metres", "parse", "direction"):
        assert log[-1][name] < log[0][name], name
    GPN(TINY).load_state_dict(load_file(weights))


def test_it_starts_from_a_trunk(tmp_path):
    people, bodies = figures(n=2)
    donor = GPN(TINY)
    save_file(donor.fea.state_dict(), str(tmp_path / "fea.safetensors"))
    recipe = GPNRecipe(
        people, bodies, [Group(np.arange(12), 2, 2)], epochs=1, config=TINY, start=tmp_path / "fea.safetensors"
    )
    model = recipe.build()
    assert torch.equal(model.net.fea.embed.weight, donor.fea.embed.weight)
    model.train()
    model.net(torch.rand(4, 3, 64, 32))
    assert torch.equal(model.net.fea.neck.running_mean, donor.fea.neck.running_mean), "the trunk's norms are settled"
    assert not torch.equal(model.net.part_neck[0].running_mean, donor.part_neck[0].running_mean)


def test_a_mirrored_picture_mirrors_its_metres():
    people, bodies = figures(n=2)
    bodies.xyz[:, 5, 0], bodies.xyz[:, 6, 0] = 0.2, -0.2  # the left shoulder is at +x
    recipe = GPNRecipe(people, bodies, [Group(np.arange(12), 2, 4)], epochs=1, config=TINY, steps_an_epoch=3)
    for batch in recipe.batches(0):
        xyz = batch[4]
        torch.testing.assert_close(xyz[:, 5, 0], torch.full((8,), 0.2))
        torch.testing.assert_close(xyz[:, 6, 0], torch.full((8,), -0.2))


def seen_by(n=6, seed=0):
    """What a network might say of `n` pictures: views of the whole, parts, and how far these are seen."""
    rng = torch.Generator().manual_seed(seed)
    out = {"neck": (n, 8), "stripes": (n, 4, 3), "parts": (n, 6, 5), "visible": (n, 6)}
    return {key: torch.randn(shape, generator=rng).requires_grad_() for key, shape in out.items()}


def test_parts_learn_from_the_similarity_that_re_ranks():
    out, identities = seen_by(), torch.tensor([0, 0, 0, 1, 1, -1])
    loss = match_loss(out, identities, {"neck": 2.0, "stripes": 1.0}, temperature=0.1)
    views = [out["neck"], torch.nn.functional.normalize(out["stripes"], dim=2).flatten(1)]
    whole = torch.cat([torch.nn.functional.normalize(view, dim=1) for view in views], 1)
    whole[:, : out["neck"].shape[1]] *= 2
    items = Embeddings.of(*(x.detach().numpy() for x in (whole, out["parts"], out["visible"].sigmoid())))
    similarity = np.stack([part_similarity(items[i], items) for i in range(5)])[:, :5]
    ids = identities[:5].numpy()
    terms = []
    for i in range(5):
        same = (ids == ids[i]) & (np.arange(5) != i)
        gap = similarity[i][ids != ids[i]].max() - similarity[i][same].min()
        terms.append(0.5 * np.log1p(np.exp(gap / 0.1)))
    np.testing.assert_allclose(loss.item(), np.mean(terms), rtol=1e-4)
    loss.backward()
    assert out["parts"].grad[:5].abs().sum() > 0
    assert out["parts"].grad[5].abs().sum() == 0, "nobody's parts are matched"
    assert out["neck"].grad is None, "the whole stands still"
    assert out["visible"].grad is None


def test_nobody_to_match_costs_nothing():
    out = seen_by()
    for identities in (torch.full((6,), -1), torch.arange(6), torch.zeros(6, dtype=int)):
        loss = match_loss(out, identities, {"neck": 1.0})
        assert loss.item() == 0
        loss.backward()


@pytest.mark.parametrize(
    ("setting", "still", "learns"),
    [
        ("frozen", ("fea.",), "decoder.smooth4.0.weight"),
        ("closer", ("fea.", "decoder.", "skeleton.", "parse.coarse.", "part_"), "parse.closer.fine.0.0.weight"),
    ],
)
def test_what_is_to_stand_still_does_while_the_rest_learns(tmp_path, setting, still, learns):
    people, bodies = figures(n=2)
    donor = GPN(TINY)
    save_file(donor.state_dict(), str(tmp_path / "gpn.safetensors"))
    recipe = GPNRecipe(
        people,
        bodies,
        [Group(np.arange(12), 2, 2)],
        epochs=1,
        config=TINY,
        start=tmp_path / "gpn.safetensors",
        **{setting: True},
    )
    state = load_file(fit(recipe, tmp_path / "run", say=lambda line: None))
    for key, value in donor.state_dict().items():
        if key.startswith(still):
            assert torch.equal(state[key], value), key
    assert not torch.equal(state[learns], donor.state_dict()[learns])
