"""Anchors: of the sizes and shapes asked for, centred on their cells, in the order the network speaks in."""

import torch

from models.rfcn.anchors import anchor_shapes, grid_anchors


def test_areas_and_ratios():
    shapes = anchor_shapes((20, 40), (2.0, 0.5))
    sides = shapes[:, 2:] - shapes[:, :2]
    torch.testing.assert_close(sides.prod(1).sqrt(), torch.tensor([20.0, 20.0, 40.0, 40.0]))
    torch.testing.assert_close(sides[:, 1] / sides[:, 0], torch.tensor([2.0, 0.5, 2.0, 0.5]))
    torch.testing.assert_close(shapes.sum(1), torch.zeros(4))


def test_places_row_by_row_and_map_by_map():
    anchors = grid_anchors([(2, 3), (1, 1)], (8, 16), ((10, 20), (40, 80)), (1.0,))
    assert anchors.shape == ((6 + 1) * 2, 4)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    expected = [(4, 4), (12, 4), (20, 4), (4, 12), (12, 12), (20, 12), (8, 8)]
    torch.testing.assert_close(centres[::2], torch.tensor(expected, dtype=torch.float))
    torch.testing.assert_close(centres[1::2], centres[::2])
    torch.testing.assert_close(anchors[-1], torch.tensor([-32.0, -32.0, 48.0, 48.0]))
