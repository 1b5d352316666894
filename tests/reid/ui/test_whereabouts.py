"""A region's hit shows its whole picture with the box where it belongs; a whole picture's shows nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid.galleries import Item, Library
from reid.galleries.records import NewItem
from reid.images import save_image
from reid.search import Hit
from reid.studio import Comparison, Studio
from reid.ui.panels.whereabouts import Whereabouts, found_at
from tests.reid.search.mannequins import Tailor

WHOLE = np.zeros((100, 200, 3), np.uint8)
REGION = Item(1, "s.avi@9#1", Path("s<q>.avi"), "0" * 64, 200, 100, box=(20.0, 30.0, 50.0, 90.0), frame=640, time=64.5)


def comparison(item: Item, whole: np.ndarray | None) -> Comparison:
    return Comparison(WHOLE[:60, :30], WHOLE[:60, :30], Hit(1, item, 0.9, None, {}), Tailor.card, whole=whole)


def test_the_box_lies_where_the_region_is():
    shown = Whereabouts().show(comparison(REGION, WHOLE))
    assert 'viewBox="0 0 200 100"' in shown
    assert re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', shown) == [
        ("20.0", "30.0", "30.0", "60.0")
    ]
    assert "s&lt;q&gt;.avi, 1:04 (frame 640)" in shown
    assert "<q>" not in shown


def test_a_whole_picture_needs_no_such_panel():
    assert Whereabouts().show(comparison(replace(REGION, box=None), None)) is None


@pytest.mark.parametrize(
    ("frame", "time", "says"),
    [(None, None, "s<q>.avi"), (3, 0.2, "s<q>.avi, 0:00 (frame 3)"), (9, None, "s<q>.avi, 0:00 (frame 9)")],
)
def test_where_is_told_as_one_reads_it(frame, time, says):
    assert found_at(replace(REGION, frame=frame, time=time)) == says


def test_the_studio_brings_the_whole_picture_of_a_region(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (100, 200, 3)).astype(np.uint8)
    save_image(tmp_path / "street.png", picture)
    gallery = Library(tmp_path / "data").create("street")
    path = str(tmp_path / "street.png")
    regions = [
        NewItem(f"street.png#{n}", path, "0" * 64, 1, "", 200, 100, box=box)
        for n, box in enumerate([(0.0, 0.0, 40.0, 80.0), (100.0, 10.0, 150.0, 90.0)], 1)
    ]
    gallery.put_items(regions)
    studio = Studio(tmp_path / "data", shipped=None)
    found = studio.search(picture[10:90, 100:150], "street", "hsv-stripes")
    assert [hit.item.name for hit in found.hits] == ["street.png#2"]  # the other region is of the same picture
    assert np.array_equal(studio.compare(found, 0).whole, picture)
