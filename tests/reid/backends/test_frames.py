"""Frames in and boxes out: one scale there and back, whatever the frame's size; cuts show what the box holds."""

import numpy as np
import pytest

from reid.backends.frames import AREA, STEP, cut, frame_scale, frame_tensor


@pytest.mark.parametrize("size", [(576, 768), (480, 640), (1080, 1920), (64, 32), (7000, 5700), (16, 4000), (333, 517)])
def test_coordinates_come_back(size):
    frame = np.zeros((*size, 3), np.uint8)
    x, back = frame_tensor(frame)
    h, w = x.shape[2:]
    assert h % STEP == 0
    assert w % STEP == 0
    # The frame's far corner, in the input's pixels, lies within the input and comes back to where it was.
    corner = np.array([0, 0, size[1], size[0]]) / back
    assert corner[2] <= w + 0.01
    assert corner[3] <= h + 0.01
    assert w - corner[2] < STEP
    assert h - corner[3] < STEP
    np.testing.assert_allclose(corner * back, [0, 0, size[1], size[0]], rtol=1e-5)


def test_frames_are_brought_to_an_area_but_not_magnified_without_end():
    assert frame_scale(576, 768) == 1
    assert frame_scale(2 * 576, 2 * 768) == pytest.approx(0.5)
    assert frame_scale(64, 32) == 2
    x, _ = frame_tensor(np.zeros((5000, 8000, 3), np.uint8))
    assert x.shape[2] * x.shape[3] < AREA * 1.1


def test_padding_is_of_the_mean_colour():
    x, _ = frame_tensor(np.full((300, 310, 3), 255, np.uint8), area=300 * 310)
    assert (x[..., :300, :310] > 1).all()
    assert (x[..., 300:, :] == 0).all()
    assert (x[..., 310:] == 0).all()


def picture() -> np.ndarray:
    rows, columns = np.mgrid[:100, :200]
    return np.stack([columns, rows, np.full_like(rows, 77)], 2).astype(np.uint8)


@pytest.mark.parametrize("size", [(20, 40), (40, 80), (10, 20), (64, 32)])
def test_a_cut_shows_the_box(size):
    box = np.array([100.0, 30.0, 140.0, 50.0])
    view = cut(picture(), box, size).astype(float)
    assert view.shape == (*size, 3)
    step_x, step_y = 40 / size[1], 20 / size[0]
    expected = 100 + (np.arange(size[1]) + 0.5) * step_x - 0.5
    np.testing.assert_allclose(view[size[0] // 2, :, 0], expected, atol=1.5)
    expected = 30 + (np.arange(size[0]) + 0.5) * step_y - 0.5
    np.testing.assert_allclose(view[:, size[1] // 2, 1], expected, atol=1.5)


def test_context_widens_a_cut():
    view = cut(picture(), np.array([100.0, 30.0, 140.0, 50.0]), (40, 80), context=0.5).astype(float)
    np.testing.assert_allclose(view[20, :, 0], 80 + np.arange(80), atol=1.5)


def test_outside_is_the_border_or_a_colour():
    box = np.array([-20.0, -20.0, 20.0, 20.0])
    assert cut(picture(), box, (40, 40))[0, 0].tolist() == [0, 0, 77]
    assert cut(picture(), box, (40, 40), fill=(9, 8, 7))[0, 0].tolist() == [9, 8, 7]
    assert cut(picture(), np.array([300.0, 300.0, 320.0, 320.0]), (4, 4), fill=(9, 8, 7))[0, 0].tolist() == [9, 8, 7]
