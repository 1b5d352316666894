import pytest
import torch

from models.retrieval.pooling import POOLINGS, _regions, average, gem, mac, rmac

MAPS = torch.rand(2, 5, 6, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (8, 3), (3, 11)])
def test_any_map_gives_one_number_a_channel(name, size):
    found = POOLINGS[name](torch.rand(2, 5, *size))
    assert found.shape == (2, 5)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("name", POOLINGS)
def test_gradients_reach_the_map(name):
    maps = MAPS.clone().requires_grad_()
    POOLINGS[name](maps).sum().backward()
    assert maps.grad.abs().sum() > 0


def test_gem_lies_between_the_average_and_the_maximum():
    assert (average(MAPS) < gem(MAPS)).all()
    assert (gem(MAPS) < mac(MAPS)).all()


def test_an_even_map_is_worth_its_value_whatever_the_pooling():
    even = torch.full((1, 3, 4, 4), 0.7)
    for pooling in (average, mac, gem):
        torch.testing.assert_close(pooling(even), torch.full((1, 3), 0.7))


def test_regions_lie_inside_the_map_and_cover_it():
    for height, width in ((8, 8), (8, 20), (20, 8), (7, 7), (2, 2)):
        seen = torch.zeros(height, width)
        for y, x, side in _regions(height, width):
            assert y >= 0
            assert x >= 0
            assert y + side <= height
            assert x + side <= width
            seen[y : y + side, x : x + side] += 1
        assert seen.min() >= 1


def test_rmac_of_a_square_map_counts_fourteen_regions_of_unit_length():
    regions = list(_regions(8, 8))
    assert len(regions) == 1 + 4 + 9
    one_channel = torch.rand(1, 1, 8, 8) + 0.1
    assert rmac(one_channel).item() == pytest.approx(14)


def test_rmac_gives_a_small_thing_more_than_the_maximum_does():
    maps = torch.zeros(1, 2, 8, 8)
    maps[0, 0, 0, 0] = 9.0  # one strong point in a corner
    maps[0, 1] = 1.0  # something weak everywhere
    strong, weak = rmac(maps)[0]
    assert weak > strong
    assert mac(maps)[0, 0] > mac(maps)[0, 1]
