import numpy as np
import pytest

from reid.backends import get
from reid.backends.aggregate import hamming
from reid.backends.codebook import CENTRES, DIM
from reid.backends.descriptors import with_codebook
from reid.errors import PartwiseError
from reid.training.codebook import _sample, learn_bits, learn_floats, principal_components, train_codebook
from tests.reid.backends.pictures import scene


@pytest.mark.parametrize("name", ["sift", "orb"])
def test_a_retrained_codebook_serves_and_changes_the_recipe(name, tmp_path):
    pictures = [scene(seed) for seed in range(12)]
    path = train_codebook(name, iter(pictures), tmp_path / "own.safetensors")
    own = with_codebook(name, path)
    assert own.recipe_hash() != get(name).recipe_hash()
    vectors = own.embed(pictures).global_
    assert vectors.shape == (12, CENTRES * DIM)
    crop = own.embed([pictures[5][30:, 30:]]).global_[0]
    assert np.argmax(vectors @ crop) == 5


def test_the_same_pictures_give_the_same_codebook(tmp_path):
    for name in ("sift", "orb"):
        a, b = (train_codebook(name, [scene(s) for s in range(12)], tmp_path / str(i)) for i in range(2))
        assert a.read_bytes() == b.read_bytes()


def test_too_little_to_learn_from(tmp_path):
    with pytest.raises(PartwiseError, match="0 orb keypoints"):
        train_codebook("orb", [np.zeros((64, 64, 3), np.uint8)], tmp_path / "x")
    with pytest.raises(PartwiseError, match="use more pictures"):
        train_codebook("orb", [], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_only_local_descriptors_learn_one(tmp_path):
    with pytest.raises(PartwiseError, match="sift"):
        train_codebook("hsv-stripes", [], tmp_path / "x")


def test_k_majority_finds_groups_of_bits():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 256, (CENTRES, 32), dtype=np.uint8)
    noisy = groups.repeat(40, 0) ^ np.packbits(rng.random((CENTRES * 40, 256)) < 0.05, axis=1)
    _, centres, ones = learn_bits(noisy)
    # Some groups may share a centre; most have one of their own, exactly.
    assert (hamming(groups, centres).min(1) == 0).mean() > 0.5
    assert ((ones > 0) & (ones < 1)).all()


def test_k_means_centres_lie_among_the_descriptors():
    descriptors = np.random.default_rng(0).normal(size=(3000, 40)).astype(np.float32)
    projection, centres, _ = learn_floats(descriptors)
    assert projection.shape == (40, DIM)
    projected = descriptors @ projection
    assert (centres.min(0) > projected.min(0)).all()
    assert (centres.max(0) < projected.max(0)).all()


def test_components_come_by_variance_and_halfway_to_whitening():
    rng = np.random.default_rng(0)
    scales = np.linspace(1, 40, 40)[::-1]
    vectors = rng.normal(size=(5000, 40)) * scales
    deviations = (vectors @ principal_components(vectors)).std(0)
    np.testing.assert_allclose(deviations, np.sqrt(scales[:DIM]), rtol=0.1)


def test_a_sample_is_uniform_and_no_larger_than_the_limit():
    batches = [np.full((100, 1), i) for i in range(50)]
    kept = _sample(iter(batches), 1000, np.random.default_rng(0))
    assert kept.shape == (1000, 1)
    early, late = (kept < 25).sum(), (kept >= 25).sum()
    assert abs(early - late) < 120
