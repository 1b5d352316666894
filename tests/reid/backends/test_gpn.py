"""The graph pose network as a backend: shapes, the caller's pixels, weights that are checked, and nobody there."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.gpn.anatomy import JOINTS, LABELS, PARTS
from models.gpn.network import GPN
from reid.backends import cards
from reid.backends.gpn import (
    LARGER,
    LEGIBLE,
    PALETTE,
    SEEN,
    SIZE,
    VIEWS,
    Gpn,
    GpnSynthetic,
    GraphPoseNetwork,
    _label_map,
)
from reid.backends.tensors import to_tensor
from reid.backends.weights import WEIGHTS
from reid.embedding import Embedding
from reid.errors import WeightsError
from tests.reid.backends.test_registry import PICTURES, textured
from tests.reid.untrained import untrained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def backend(folder):
    with pytest.MonkeyPatch.context() as patch:
        loaded = untrained(Gpn, folder, patch)()
        loaded.load()
    return loaded


@pytest.fixture(scope="module")
def synthetic(folder):
    with pytest.MonkeyPatch.context() as patch:
        loaded = untrained(GpnSynthetic, folder, patch)()
        loaded.load()
    return loaded


# Registration and weights


def test_weights_are_offered_once_they_ship():
    offered = {card.name for card in cards()}
    for cls in (Gpn, GpnSynthetic):
        assert (cls.card.name in offered) == (WEIGHTS / str(cls.card.weights)).is_file() == bool(cls.weights_sha256)


def test_views_have_the_length_the_cards_promise():
    config = GPN().config
    assert VIEWS["neck"] == config.trunk.channels[-1]
    assert VIEWS["embedding"] == config.dim
    assert VIEWS["whole"] == config.part_dim
    assert Gpn.card.dim == 1280
    assert GpnSynthetic.card.dim == 1024
    assert GpnSynthetic.card.research_only is False


def test_changed_weights_are_refused(folder, tmp_path, monkeypatch):
    cls = untrained(Gpn, tmp_path, monkeypatch)
    file = tmp_path / "gpn.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match="not the file this version was measured with"):
        cls().load()
    file.unlink()
    with pytest.raises(WeightsError, match="is missing"):
        cls().load()
    assert "is missing" in (cls().why_not_ready() or "")


def test_weights_of_another_network_are_refused(tmp_path, monkeypatch):
    untrained(Gpn, tmp_path, monkeypatch)
    file = tmp_path / "gpn.safetensors"
    state = load_file(file)
    del state["parse.closer.reduce.weight"]
    save_file(state, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match="another network"):
        type("Other", (Gpn,), {"weights_sha256": digest})().load()


def test_the_recipe_knows_weights_and_views(backend, synthetic):
    assert backend.recipe()["weights"] == backend.weights_sha256
    changed = type("Changed", (type(backend),), {"views": ("neck",)})()
    assert len({backend.recipe_hash(), synthetic.recipe_hash(), changed.recipe_hash()}) == 3


# Embedding


@pytest.mark.parametrize("name", ["backend", "synthetic"])
def test_any_picture_is_embedded(name, request):
    loaded: GraphPoseNetwork = request.getfixturevalue(name)
    found = loaded.embed(list(PICTURES.values()))
    assert found.global_.shape == (len(PICTURES), loaded.card.dim)
    assert found.parts.shape == (len(PICTURES), len(PARTS), 128)
    assert found.visibility.shape == (len(PICTURES), len(PARTS))
    assert np.isfinite(found.global_).all()
    np.testing.assert_allclose(np.linalg.norm(found.global_, axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found.parts, axis=2), 1, atol=1e-4)
    assert ((found.visibility >= 0) & (found.visibility <= 1)).all()
    assert found.global_[0] @ found.global_[1] < 0.9999


def test_neither_batch_nor_order_matter(backend):
    pictures = [textured(128, 64, seed) for seed in range(5)] + [textured(97, 61)]
    together, turned = backend.embed(pictures), backend.embed(pictures[::-1])
    for key in ("global_", "parts", "visibility"):
        one, other = getattr(together, key), getattr(turned, key)[::-1]
        np.testing.assert_allclose(one, other, atol=1e-4)
        alone = getattr(backend.embed(pictures[2:3]), key)
        np.testing.assert_allclose(one[2:3], alone, atol=1e-4)
    embeddings, parses = backend.embed_and_parse(pictures)
    np.testing.assert_allclose(embeddings.global_, together.global_, atol=1e-5)
    for picture, parse in zip(pictures, parses, strict=True):
        out = backend._run([picture])
        assert (parse.labels == _label_map(out["parse"][0], picture).labels).mean() > 0.999


def test_the_views_of_the_whole_have_their_lengths(backend):
    vector = backend.embed([textured(128, 64)])[0].global_
    lengths = [np.linalg.norm(view) for view in np.split(vector, [512, 768])]
    assert lengths == pytest.approx(np.array([2, 1, 1]) / 6**0.5, abs=1e-4)


def test_folded_norms_change_nothing(backend, folder):
    net = GPN()
    state = load_file(folder / "gpn.safetensors")
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    picture = textured(128, 64)
    with torch.inference_mode():
        out = net.eval()(to_tensor([picture], (256, 128)))
    found = backend._run([picture])
    for key in ("neck", "stripes", "parts", "parse", "xyz"):
        np.testing.assert_allclose(found[key], out[key].numpy(), atol=1e-3, rtol=1e-3)


def test_half_precision_weights_run_in_full(backend):
    assert {p.dtype for p in backend._net.parameters()} == {torch.float32}


def test_no_pictures_give_nothing(backend):
    embeddings, parses = backend.embed_and_parse([])
    assert embeddings.global_.shape == (0, 1280)
    assert parses == []


# Parsing and pose, in the caller's pixels


@pytest.mark.parametrize("name", PICTURES)
def test_parsing_has_the_pictures_size(backend, name):
    parse = backend.parse(PICTURES[name])
    assert parse.labels.shape == PICTURES[name].shape[:2]
    assert parse.labels.dtype == np.uint8
    assert parse.labels.max() < len(parse.names) == len(LABELS) == len(parse.palette)


def test_huge_pictures_are_parsed_too(backend):
    parse = backend.parse(np.zeros((3000, 1500, 3), np.uint8))
    assert parse.labels.shape == (3000, 1500)


class Drawn(GraphPoseNetwork):
    """Says what it is told to: a network's output without a network."""

    card = Gpn.card

    def __init__(self, parse: np.ndarray, **out: np.ndarray) -> None:
        self._out = {"parse": parse, "rough": parse[:, ::2, ::2], **out}

    def _run(self, pictures, parse=True):
        return {key: np.repeat(value[None], len(pictures), 0) for key, value in self._out.items()}

    def _averaged(self, picture, parse=True):
        return self._run([picture], parse)


def logits(labels: np.ndarray) -> np.ndarray:
    return (np.arange(len(LABELS))[:, None, None] == labels).astype(np.float32) * 10


FIGURE = np.zeros((128, 64), int)
FIGURE[32:96, 16:48] = LABELS.index("upper clothes")


def test_regions_lie_where_the_network_saw_them():
    parse = Drawn(logits(FIGURE)).parse(np.zeros((400, 300, 3), np.uint8))
    rows, columns = np.nonzero(parse.labels == LABELS.index("upper clothes"))
    assert (rows.min(), rows.max() + 1) == pytest.approx((100, 300), abs=2)
    assert (columns.min(), columns.max() + 1) == pytest.approx((75, 225), abs=3)
    np.testing.assert_array_equal(parse.palette, PALETTE)


def test_joints_are_in_the_pictures_pixels():
    heat = np.zeros((len(JOINTS), 64, 32), np.float32)
    heat[:, 47:49, 7:9] = 40  # a quarter from the left, three quarters from above
    confidence, xyz = np.full(len(JOINTS), 2.0, np.float32), np.ones((len(JOINTS), 3), np.float32)
    drawn = Drawn(logits(FIGURE), heat=heat, confidence=confidence, xyz=xyz)
    skeleton = drawn.pose(np.zeros((400, 200, 3), np.uint8))
    assert skeleton.names == JOINTS
    np.testing.assert_allclose(skeleton.xy, np.tile([50, 300], (len(JOINTS), 1)), atol=1e-3)
    np.testing.assert_allclose(skeleton.confidence, 1 / (1 + np.exp(-2)), atol=1e-5)
    np.testing.assert_allclose(skeleton.xyz, 1)


def test_a_real_pose_lies_inside(backend):
    skeleton = backend.pose(PICTURES["odd"])
    assert skeleton.xy.shape == (17, 2)
    assert skeleton.xyz.shape == (17, 3)
    assert ((skeleton.xy >= 0) & (skeleton.xy <= PICTURES["odd"].shape[1::-1])).all()
    assert ((skeleton.confidence >= 0) & (skeleton.confidence <= 1)).all()


def test_a_mirrored_picture_has_the_mirrored_pose_and_parsing(backend):
    picture = textured(128, 64)
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    here, there = backend.pose(picture), backend.pose(mirrored)
    names = [name.replace("left", "x").replace("right", "left").replace("x", "right") for name in JOINTS]
    swapped = [JOINTS.index(name) for name in names]
    np.testing.assert_allclose(there.xy[swapped], [64, 0] + here.xy * [-1, 1], atol=0.01)
    np.testing.assert_allclose(there.xyz[swapped], here.xyz * [-1, 1, 1], atol=1e-4)
    np.testing.assert_allclose(there.confidence[swapped], here.confidence, atol=1e-4)
    assert (backend.parse(mirrored).labels[:, ::-1] == backend.parse(picture).labels).mean() > 0.999


def test_two_sizes_have_an_equal_say():
    class TwoSizes(Drawn):
        def _run(self, pictures, parse=True, size=SIZE):
            label, sure = (4, 2.0) if size == SIZE else (5, 3.0)
            found = np.zeros((len(LABELS), size[0] // 2, size[1] // 2), np.float32)
            found[label] = sure
            return {"parse": np.repeat(found[None], len(pictures), 0)}

        _averaged = GraphPoseNetwork._averaged

    picture = np.zeros((64, 32, 3), np.uint8)
    (averaged,) = TwoSizes(logits(FIGURE))._averaged(picture)["parse"]
    assert averaged.shape == (len(LABELS), LARGER[0] // 2, LARGER[1] // 2)
    assert (averaged[4] == 1).all()
    assert (averaged[5] == 1.5).all()
    assert (TwoSizes(logits(FIGURE)).parse(picture).labels == 5).all()


# What hides somebody


def in_the_way(left: int, right: int) -> np.ndarray:
    """Logits (64, 32) of a network that sees somebody from column `left` to `right`."""
    hiding = np.full((64, 32), -4.0, np.float32)
    hiding[:, left:right] = 4
    return hiding


def test_what_hides_somebody_gets_the_mean_colour_of_the_rest():
    picture = np.full((100, 64, 3), (200, 40, 90), np.uint8)
    picture[:, :20] = textured(100, 20)
    picture[:50, 40:] = (100, 40, 90)
    before = picture.copy()
    shown = Drawn(logits(FIGURE), hiding=in_the_way(0, 10)).reveal([picture, picture])
    assert len(shown) == 2
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(shown[0][:, 20:], picture[:, 20:])
    np.testing.assert_allclose(
        shown[1][:, :20].reshape(-1, 3), np.tile(picture[:, 20:].mean((0, 1)), (2000, 1)), atol=1
    )


def test_whoever_is_in_the_way_stands_upright():
    picture = textured(128, 64)
    hiding = in_the_way(0, 10)
    hiding[:20, :10] = -4  # a head is narrower than shoulders
    hiding[:20, 20:] = 4  # and nobody is a head alone
    shown = Drawn(logits(FIGURE), hiding=hiding).reveal([picture])[0]
    assert (shown[:, :19] == shown[0, 0]).all()
    np.testing.assert_array_equal(shown[:, 21:], picture[:, 21:])


@pytest.mark.parametrize("columns", [(0, 0), (0, 2), (2, 32)])
def test_hardly_anything_in_the_way_and_hardly_anything_else_change_nothing(columns):
    picture = textured(128, 64)
    assert Drawn(logits(FIGURE), hiding=in_the_way(*columns)).reveal([picture])[0] is picture


def test_a_real_network_reveals_any_picture(backend):
    pictures = list(PICTURES.values())
    for shown, picture in zip(backend.reveal(pictures), pictures, strict=True):
        assert shown.shape == picture.shape
        assert shown.dtype == np.uint8
    assert backend.reveal([]) == []


# Nobody, too small, too wide


def confident(labels: np.ndarray) -> Drawn:
    """A network that is sure of every part, whatever its parsing shows."""
    drawn = Drawn(
        logits(labels),
        neck=np.ones(512, np.float32),
        embedding=np.ones(256, np.float32),
        stripes=np.ones((4, 128), np.float32),
        parts=np.ones((len(PARTS), 128), np.float32),
        visible=np.full(len(PARTS), 4.0, np.float32),
    )
    drawn._net = GPN()
    return drawn


@pytest.mark.parametrize(
    ("labels", "size", "note"),
    [
        (FIGURE, (128, 64), None),
        (FIGURE, (60, 60), None),
        (FIGURE * 0, (128, 64), "No person is seen here"),
        (FIGURE, (10, 6), "only 6 x 10 pixels"),
        (FIGURE, (60, 600), "wider than tall"),
    ],
)
def test_what_a_picture_cannot_show_is_said(labels, size, note):
    backend, picture = confident(labels), np.zeros((*size, 3), np.uint8)
    embedding = backend.embed([picture])[0]
    said = backend.note(picture, embedding)
    if note is None:
        assert said is None
        assert embedding.visibility.min() > 0.9
    else:
        assert note in said
        assert embedding.visibility.max() < SEEN
    assert np.isfinite(embedding.global_).all()


def test_visibility_fades_with_pixels():
    backend = confident(FIGURE)
    heights = [LEGIBLE[0] * 2, LEGIBLE[0], LEGIBLE[0] // 2, LEGIBLE[0] // 8]
    seen = [backend.embed([np.zeros((h, max(h // 2, 1), 3), np.uint8)]).visibility[0, 0] for h in heights]
    assert seen[0] == pytest.approx(seen[1])
    assert seen[2] == pytest.approx(seen[1] / 2, rel=0.01)
    assert seen[3] < seen[2] / 2


def test_a_bag_alone_is_nobody():
    backend, picture = confident(FIGURE), np.zeros((128, 64, 3), np.uint8)
    visibility = np.zeros(len(PARTS), np.float32)
    visibility[PARTS.index("bag")] = 1
    embedding = Embedding.of(np.ones(1280), np.ones((len(PARTS), 128)), visibility)
    assert "No person" in backend.note(picture, embedding)
