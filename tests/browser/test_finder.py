"""A whole frame as a query: numbered boxes, a click, a box drawn by hand, and crops that need neither."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_search import CARDS, choose

BOXES = "#pw-finder [data-pick]"


@pytest.fixture(scope="module")
def program() -> list[str]:
    return [sys.executable, "-m", "tests.browser.blue_app"]


@pytest.fixture
def frames(tmp_path):
    """Writes a grey picture with blue people on it."""

    def write(name, size, people):
        picture = np.full((*size, 3), 128, np.uint8)
        for x0, y0, x1, y1 in people:
            picture[y0:y1, x0:x1] = (30, 30, 200)
        picture[10:30, -60:-40] = (200, 60, 30)  # something red that no finder knows
        cv2.imwrite(str(tmp_path / name), picture[..., ::-1])
        return tmp_path / name

    return write


@pytest.fixture
def page(open_page) -> Page:
    page = open_page()
    choose(page, "#pw-backend", "hsv-stripes")
    return page


def query_pixels(page: Page) -> list[int]:
    """Width and height of the picture that was searched for, as the comparison shows it."""
    shown = page.locator("#pw-pair svg image").first
    return [round(float(shown.get_attribute(side))) for side in ("width", "height")]


def test_a_click_picks_a_person(page, frames, shoot):
    page.set_input_files(
        "#pw-query input[type=file]", frames("f.png", (300, 600), [(60, 40, 120, 220), (400, 60, 460, 260)])
    )
    expect(page.locator(BOXES)).to_have_count(2)
    expect(page.locator("#pw-finder")).to_contain_text("Click whom")
    expect(page.locator(CARDS)).to_have_count(12)
    whole = page.locator(f"{CARDS} .pw-score").all_inner_texts()
    shoot(page, "finder")
    page.click(f"{BOXES} >> nth=0")
    expect(page.locator(f"{BOXES}[aria-pressed=true]")).to_have_count(1)
    expect(page.locator(f"{CARDS} .pw-score").first).not_to_have_text(whole[0])
    width, height = query_pixels(page)
    assert height / width == pytest.approx(200 / 60, rel=0.15) or height / width == pytest.approx(180 / 60, rel=0.15)


def test_a_box_is_drawn(page, frames):
    page.set_input_files("#pw-query input[type=file]", frames("f.png", (300, 600), []))
    expect(page.locator("#pw-finder")).to_contain_text("Nobody is found")
    expect(page.locator(CARDS)).to_have_count(12)
    before = page.locator(f"{CARDS} .pw-score").first.inner_text()
    expect(page.locator("#pw-finder [data-frame]")).to_be_hidden()
    page.click("#pw-finder summary")
    expect(page.locator("#pw-finder [data-frame]")).to_be_visible()
    place = page.locator("#pw-finder [data-frame]").bounding_box()
    page.mouse.move(place["x"] + 0.85 * place["width"], place["y"] + 0.01 * place["height"])
    page.mouse.down()
    page.mouse.move(place["x"] + 0.90 * place["width"], place["y"] + 0.08 * place["height"], steps=4)
    page.mouse.move(place["x"] + 0.95 * place["width"], place["y"] + 0.15 * place["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#pw-finder .pw-rubber")).to_be_visible()
    expect(page.locator(f"{CARDS} .pw-score").first).not_to_have_text(before)
    width, height = query_pixels(page)
    assert width / height == pytest.approx(60 / 42, rel=0.2)


def test_a_crop_of_one_person_needs_no_choice(page, frames):
    page.set_input_files("#pw-query input[type=file]", frames("c.png", (256, 128), [(10, 10, 118, 246)]))
    expect(page.locator(CARDS)).to_have_count(12)
    expect(page.locator(BOXES)).to_have_count(0)
