import numpy as np

from reid.backends.aggregate import ASSIGNED, bit_deviations, bit_fisher, hamming, unpack, vlad
from reid.embedding import l2_normalise


def test_hamming_counts_differing_bits():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (5, 32), dtype=np.uint8), rng.integers(0, 256, (4, 32), dtype=np.uint8)
    counted = [[bin(int.from_bytes(bytes(x ^ y), "big")).count("1") for y in b] for x in a]
    np.testing.assert_array_equal(hamming(a, b), counted)


def test_unpack_gives_bits_in_order():
    np.testing.assert_array_equal(unpack(np.array([[0b10000001]], np.uint8)), [[1, 0, 0, 0, 0, 0, 0, 1]])


def test_vlad_sums_residuals_at_the_nearest_centres_alone():
    centres = np.array([[0, 0], [1, 0], [0, 1], [100, 100]], np.float32)
    rows = vlad(np.array([[0.5, 0.5]], np.float32), centres).reshape(4, 2)
    assert np.count_nonzero(np.linalg.norm(rows, axis=1)) == ASSIGNED
    np.testing.assert_allclose(rows[3], 0)
    np.testing.assert_allclose(rows[1] / np.linalg.norm(rows[1]), [-(0.5**0.5), 0.5**0.5], atol=1e-6)


def test_vlad_weighs_centres_alike_however_many_descriptors_they_take():
    centres = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
    descriptors = np.concatenate([np.full((50, 2), 1.0), [[10, 1]], [[1, 10]]]).astype(np.float32)
    lengths = np.linalg.norm(vlad(descriptors, centres).reshape(3, 2), axis=1)
    np.testing.assert_allclose(lengths, 3**-0.5, atol=1e-6)


def test_vlad_does_not_depend_on_the_order_of_keypoints():
    rng = np.random.default_rng(0)
    descriptors, centres = rng.normal(size=(200, 8)).astype(np.float32), rng.normal(size=(16, 8)).astype(np.float32)
    np.testing.assert_allclose(vlad(descriptors, centres), vlad(descriptors[::-1], centres), atol=1e-5)


def test_bits_as_expected_say_nothing_and_deviating_ones_do():
    centres = np.zeros((4, 1), np.uint8)
    ones = np.full((4, 8), 0.5, np.float32)
    projection = np.eye(8, dtype=np.float32)
    found = bit_fisher(np.array([[0b11110000]], np.uint8), centres, ones, projection).reshape(4, 8)
    assert (found[0, :4] > 0).all()
    assert (found[0, 4:] < 0).all()
    # Two opposite descriptors are what the centre expects on average.
    balanced = bit_fisher(np.array([[0b11110000], [0b00001111]], np.uint8), centres, ones, projection)
    np.testing.assert_allclose(balanced, 0)


def test_bits_are_weighed_descriptor_by_descriptor():
    rng = np.random.default_rng(0)
    descriptors, centres = rng.integers(0, 256, (60, 4), dtype=np.uint8), rng.integers(0, 256, (8, 4), dtype=np.uint8)
    ones, projection = rng.uniform(0.1, 0.9, (8, 32)).astype(np.float32), rng.normal(size=(32, 5)).astype(np.float32)
    sums = np.zeros((8, 5))
    for descriptor in descriptors:
        distances = hamming(descriptor[None], centres)[0]
        for centre in np.argsort(distances, kind="stable")[:ASSIGNED]:
            sums[centre] += (bit_deviations(descriptor[None], np.array([centre]), ones) @ projection)[0]
    rooted = np.sign(sums) * np.sqrt(np.abs(sums))
    expected = l2_normalise(l2_normalise(rooted).ravel())
    np.testing.assert_allclose(bit_fisher(descriptors, centres, ones, projection), expected, atol=1e-5)


def test_no_descriptors_give_the_zero_vector():
    assert not vlad(np.zeros((0, 2), np.float32), np.ones((4, 2), np.float32)).any()
    nothing = bit_fisher(
        np.zeros((0, 1), np.uint8),
        np.zeros((4, 1), np.uint8),
        np.full((4, 8), 0.5, np.float32),
        np.eye(8, 2, dtype="f4"),
    )
    assert nothing.shape == (8,)
    assert not nothing.any()
