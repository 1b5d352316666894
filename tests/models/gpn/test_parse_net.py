"""PARSE NET and the decoder under it."""

import pytest
import torch

from models.gpn.decoder import Decoder
from models.gpn.parse_net import ParseNet


@pytest.mark.parametrize(("h", "w"), [(64, 32), (96, 48)])
def test_decoder_and_parse_sizes(h, w):
    channels = (8, 12, 16, 24)
    maps = [torch.randn(2, c, h // s, w // s) for c, s in zip(channels, (4, 8, 16, 16), strict=True)]
    features = Decoder(channels, 10)(maps)
    assert features.shape == (2, 10, h // 4, w // 4)
    logits, hiding = ParseNet(10, labels=11)(features, torch.randn(2, 3, h, w))
    assert logits.shape == (2, 11, h // 2, w // 2)
    assert hiding.shape == (2, h // 4, w // 4)


def test_coarse_context_and_fine_pixels_both_reach_the_logits():
    net = ParseNet(8)
    torch.nn.init.normal_(net.closer.colours[-1].weight)  # which lets no colour through at first
    features = torch.randn(1, 8, 8, 4, requires_grad=True)
    picture = torch.randn(1, 3, 32, 16, requires_grad=True)
    rough, between = net.roughly(features)
    logits, hiding = net.closer(between, features, picture)
    (rough.sum() + logits.square().sum() + hiding.sum()).backward()
    assert features.grad is not None
    assert picture.grad is not None
    assert features.grad.abs().sum() > 0
    assert picture.grad.abs().sum() > 0
    assert all(p.grad is not None for p in net.parameters())


def test_the_decoder_hears_every_stage():
    channels = (8, 12, 16, 24)
    maps = [
        torch.randn(2, c, 32 // s, 16 // s, requires_grad=True) for c, s in zip(channels, (4, 8, 16, 16), strict=True)
    ]
    Decoder(channels, 10)(maps).square().sum().backward()
    assert all(m.grad is not None and m.grad.abs().sum() > 0 for m in maps)
