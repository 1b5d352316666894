"""Boxes: what is encoded is decoded again, whatever the sizes; cuts stay inside."""

import pytest
import torch

from models.boxes import clip, decode, encode


def random_boxes(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * 500
    return torch.cat([corner, corner + 8 + torch.rand(n, 2, generator=generator) * 300], 1)


def test_decoding_undoes_encoding():
    boxes, references = random_boxes(200, 0), random_boxes(200, 1)
    torch.testing.assert_close(decode(encode(boxes, references), references), boxes, rtol=1e-4, atol=1e-2)


def test_known_deltas():
    reference = torch.tensor([[10.0, 20.0, 30.0, 60.0]])  # 20 wide, 40 high
    moved = torch.tensor([[20.0, 20.0, 40.0, 60.0]])  # half a width to the right
    torch.testing.assert_close(encode(moved, reference), torch.tensor([[5.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(encode(reference, reference), torch.zeros(1, 4))


def test_wild_deltas_stay_finite():
    assert torch.isfinite(decode(torch.full((1, 4), 1e4), torch.tensor([[0.0, 0.0, 10.0, 10.0]]))).all()
    nowhere = torch.tensor([[5.0, 5.0, 5.0, 5.0]])
    assert torch.isfinite(encode(nowhere, nowhere)).all()


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_boxes_are_cut_at_the_picture(shape):
    boxes = torch.tensor([-5.0, -5.0, 900.0, 900.0]).expand(shape)
    torch.testing.assert_close(clip(boxes, (100, 200)), torch.tensor([0.0, 0.0, 200.0, 100.0]).expand(shape))


def test_gradients():
    references = random_boxes(5, 2).double()
    deltas = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: decode(d, references), (deltas,))
