"""The drawing of query and result, and the thumbnails."""

from __future__ import annotations

import re

import numpy as np
import pytest

from reid.backends.keypoints import Matches
from reid.images import save_image
from reid.studio import Studio
from reid.ui.panels.pair import side_by_side
from reid.ui.thumbnails import data_uri, thumbnails


def numbers(drawing: str, pattern: str) -> np.ndarray:
    return np.array(re.findall(pattern, drawing), float)


def test_pictures_stand_at_one_height_without_distortion():
    drawing = side_by_side(np.zeros((128, 64, 3), np.uint8), np.zeros((300, 450, 3), np.uint8))
    x, width, height = numbers(drawing, r'x="([\d.]+)" y="0" width="([\d.]+)" height="([\d.]+)"').T
    assert height[0] == height[1]
    assert width / height == pytest.approx([0.5, 1.5], abs=1e-3)
    assert x[1] > x[0] + width[0]
    assert "<line" not in drawing


def test_lines_join_the_same_point_of_both_pictures():
    query, item = np.zeros((100, 200, 3), np.uint8), np.zeros((50, 50, 3), np.uint8)
    matches = Matches(np.float32([[0, 0], [200, 100]]), np.float32([[0, 0], [50, 50]]))
    drawing = side_by_side(query, item, matches)
    lines = numbers(drawing, r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"')
    x, width, height = numbers(drawing, r'x="([\d.]+)" y="0" width="([\d.]+)" height="([\d.]+)"').T
    assert lines[0] == pytest.approx([0, 0, x[1], 0])
    assert lines[1] == pytest.approx([width[0], height[0], x[1] + width[1], height[1]])
    assert "2 keypoints agree" in drawing


def test_hundreds_of_matches_are_thinned_out():
    xy = np.random.default_rng(0).uniform(0, 50, (500, 2)).astype(np.float32)
    drawing = side_by_side(np.zeros((50, 50, 3), np.uint8), np.zeros((50, 50, 3), np.uint8), Matches(xy, xy))
    assert 20 < drawing.count("<line") <= 60
    assert "500 keypoints agree" in drawing


def test_large_pictures_are_sent_small():
    noise = np.random.default_rng(0).integers(0, 255, (2000, 1000, 3)).astype(np.uint8)
    assert len(data_uri(noise, side=64)) < 20_000 < len(data_uri(noise, side=512))


def test_a_picture_that_is_gone_leaves_a_blank(tmp_path):
    from reid.galleries import Library

    files = [tmp_path / name for name in ("a.png", "b.png")]
    for n, file in enumerate(files):
        save_image(file, np.full((32, 32, 3), 90 * n, np.uint8))
    gallery = Library(tmp_path / "data").create("two")
    gallery.add(files)
    files[0].unlink()
    studio = Studio(tmp_path / "data", shipped=None)
    blank, whole = thumbnails(studio, "two", gallery.items())
    assert blank.startswith("data:image/svg")
    assert whole.startswith("data:image/jpeg")
