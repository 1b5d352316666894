"""The decoder: one fine map out of four, and what the whole picture says of each place."""

import torch

from models.gpn.decoder import Decoder, MapAttention, Refinement

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


def test_fresh_attention_changes_nothing_and_a_trained_one_reaches_everywhere():
    torch.manual_seed(1)
    attention = MapAttention(8, 2).eval()
    x = torch.randn(2, 8, 16, 8, requires_grad=True)
    torch.testing.assert_close(attention(x), x)
    for layer in attention.layers:
        torch.nn.init.normal_(layer.self_attn.out_proj.weight)
    attention(x)[:, :, -1].sum().backward()
    assert x.grad[:, :, 0].abs().sum() > 0


def test_attention_knows_places_at_any_size():
    attention = MapAttention(8, 1).eval()
    torch.nn.init.normal_(attention.layers[0].linear2.weight)
    for size in ((16, 8), (8, 4), (5, 7)):
        out = attention(torch.zeros(1, 8, *size))
        assert out.shape == (1, 8, *size)
        assert out.flatten(2).std(2).min() > 0


def test_a_fresh_refinement_changes_no_map_behind_a_relu_and_learns_from_the_first_step():
    refinement = Refinement(8).eval()
    x = torch.rand(2, 8, 6, 4)
    torch.testing.assert_close(refinement(x), x)
    refinement.train()(x).square().sum().backward()
    assert refinement.branch[-1].weight.grad.abs().sum() > 0


def test_the_overview_learns_from_the_first_step():
    decoder = Decoder(CHANNELS, 10)
    decoder(maps()).square().sum().backward()
    assert decoder.overview[2].weight.grad.abs().sum() > 0
