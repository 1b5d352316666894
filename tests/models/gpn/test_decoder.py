"""The decoder: one fine map out of four, and what the whole picture says of each place."""

import torch

from models.gpn.decoder import Decoder

CHANNELS = (8, 12, 16, 24)


def maps(rows: int = 16) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [
        torch.randn(2, channels, rows * scale, 2 * scale)
        for channels, scale in zip(CHANNELS, (4, 2, 1, 1), strict=True)
    ]


def felt_far_away(decoder: Decoder) -> float:
    """How much the lowest rows of the map hang on the uppermost of the coarsest one."""
    x = maps()
    x[3].requires_grad_()
    decoder(x)[:, :, -4:].sum().backward()
    return x[3].grad[:, :, :2].abs().sum().item()


def test_the_finest_maps_size_comes_out():
    assert Decoder(CHANNELS, 10)(maps()).shape == (2, 10, 64, 8)


def test_a_fresh_overview_changes_nothing_and_a_trained_one_reaches_everywhere():
    torch.manual_seed(1)
    decoder = Decoder(CHANNELS, 10).eval()
    assert felt_far_away(decoder) == 0
    torch.nn.init.normal_(decoder.overview[2].weight)
    assert felt_far_away(decoder) > 0


def test_the_overview_learns_from_the_first_step():
    decoder = Decoder(CHANNELS, 10)
    decoder(maps()).square().sum().backward()
    assert decoder.overview[2].weight.grad.abs().sum() > 0
