"""Position-sensitive maps: against torchvision's operators, and against a loop written out."""

import math

import pytest
import torch
from torchvision.ops import ps_roi_align, ps_roi_pool

from models.rfcn.score_maps import ScoreMaps

GRID = 3


def value_at(channel: torch.Tensor, y: float, x: float) -> float:
    """Bilinear; what lies more than a cell outside counts nothing, what lies nearer takes the border's value."""
    h, w = channel.shape
    if y < -1 or y > h or x < -1 or x > w:
        return 0.0
    y, x = min(max(y, 0.0), h - 1.0), min(max(x, 0.0), w - 1.0)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
    v, u = y - y0, x - x0
    c = channel.double()
    top = c[y0, x0] * (1 - u) + c[y0, x1] * u
    return float(top * (1 - v) + (c[y1, x0] * (1 - u) + c[y1, x1] * u) * v)


def vote(maps: torch.Tensor, box: list[float], stride: int, output: int) -> float:
    """The mean, over the cells of a region, of the map of each cell, read at 2x2 points of the cell."""
    x0, y0, x1, y1 = (v / stride - 0.5 for v in box)
    cell_h, cell_w = (y1 - y0) / GRID, (x1 - x0) / GRID
    total = 0.0
    for row in range(GRID):
        for column in range(GRID):
            channel = maps[(output * GRID + row) * GRID + column]
            for i in range(2):
                for j in range(2):
                    y = y0 + cell_h * (row + (i + 0.5) / 2)
                    x = x0 + cell_w * (column + (j + 0.5) / 2)
                    total += value_at(channel, y, x) / 4
    return total / GRID**2


@pytest.fixture
def head():
    torch.manual_seed(0)
    return ScoreMaps(8, 4, GRID)


def test_votes_are_those_of_a_loop_written_out(head):
    maps = [torch.randn(2, 8 * GRID**2, 9, 12), torch.randn(2, 8 * GRID**2, 5, 6)]
    regions = [
        torch.tensor([[3.0, 5.0, 40.0, 60.0], [-10.0, 0.0, 20.0, 12.0], [0.0, 0.0, 96.0, 72.0]]),
        torch.tensor([[50.0, 30.0, 96.0, 72.0]]),
    ]
    logits, deltas = head.read(maps, regions, (8, 16), (60.0,))
    assert logits.shape == (4, 4)
    assert deltas.shape == (4, 4)
    row = 0
    for picture, boxes in enumerate(regions):
        for box in boxes.tolist():
            side = math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
            x, stride = (maps[0], 8) if side < 60 else (maps[1], 16)
            for output in range(8):
                mine = float(torch.cat([logits, deltas], 1)[row, output])
                assert mine == pytest.approx(vote(x[picture], box, stride, output), abs=1e-4)
            row += 1


def test_votes_are_those_of_the_operator(head):
    maps, boxes = torch.randn(1, 8 * GRID**2, 10, 10), torch.tensor([[4.0, 4.0, 60.0, 70.0], [16.0, 0.0, 30.0, 80.0]])
    logits, deltas = head.read([maps], [boxes], (8,), ())
    expected = ps_roi_align(maps, [boxes], GRID, 1 / 8, 2).mean((2, 3))
    torch.testing.assert_close(torch.cat([logits, deltas], 1), expected)


def test_aligned_and_pooled_votes_agree_where_maps_are_flat(head):
    flat = torch.randn(1, 8 * GRID**2, 1, 1).expand(-1, -1, 12, 12).contiguous()
    box = torch.tensor([[8.0, 8.0, 80.0, 80.0]])
    logits, _ = head.read([flat], [box], (8,), ())
    torch.testing.assert_close(logits, ps_roi_pool(flat, [box], GRID, 1 / 8).mean((2, 3))[:, :4])


def test_a_part_out_of_place_loses_its_vote(head):
    """A map that answers in the upper left only speaks for regions whose upper left lies there."""
    maps = torch.zeros(1, 8 * GRID**2, 12, 12)
    maps[0, 1 * GRID**2, :4, :4] = 9.0  # class 1, first row, first column
    regions = torch.tensor([[0.0, 0.0, 96.0, 96.0], [-64.0, -64.0, 32.0, 32.0]])
    logits, _ = head.read([maps], [regions], (8,), ())
    assert logits[0, 1] == pytest.approx(1.0, abs=0.05)  # one part of nine
    assert logits[1, 1] == pytest.approx(0.0, abs=0.05)


def test_half_precision_maps_are_read(head):
    maps, boxes = torch.randn(1, 8 * GRID**2, 10, 10), torch.tensor([[4.0, 4.0, 60.0, 70.0]])
    full, _ = head.read([maps], [boxes], (8,), ())
    half, _ = head.read([maps.bfloat16()], [boxes], (8,), ())
    torch.testing.assert_close(half, full, atol=0.02, rtol=0.02)


def test_no_region_gives_no_vote(head):
    logits, deltas = head.read([torch.randn(1, 8 * GRID**2, 4, 4)], [torch.zeros(0, 4)], (8,), ())
    assert logits.shape == (0, 4)
    assert deltas.shape == (0, 4)


def test_gradients_reach_the_maps_and_the_layers(head):
    pyramid = [torch.randn(1, 8, 6, 6, requires_grad=True), torch.randn(1, 8, 3, 3, requires_grad=True)]
    regions = [torch.tensor([[0.0, 0.0, 30.0, 40.0], [0.0, 0.0, 48.0, 48.0]])]
    logits, deltas = head.read(head(pyramid), regions, (8, 16), (40.0,))
    (logits.square().sum() + deltas.square().sum()).backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in pyramid)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
