"""Parts weighed and composed as a person does it, with a backend that is always there."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.test_search import CARDS, choose

COMPOSED = "#pw-compose-grid .pw-card"


def to_people(page: Page, tab: str) -> None:
    choose(page, f"#pw{tab}-gallery", "people")
    choose(page, f"#pw{tab}-backend", "hsv-stripes")
    if tab:  # its own parts are there to be ticked
        expect(page.locator(f'#pw{tab}-parts-3 label:has-text("Shoulders")')).to_be_visible()


def test_a_part_of_weight_zero_leaves_the_match(page, shoot):
    to_people(page, "")
    page.click("#pw-examples button >> nth=0")
    expect(page.locator(CARDS).first).to_be_visible()
    bars = page.locator("#pw-parts .pw-bar")
    expect(bars).to_have_count(6)
    page.click("#pw-weights button >> nth=0")
    feet = page.locator("#pw-weights input[type=number]").nth(5)
    feet.fill("0")
    feet.blur()
    expect(bars.last).to_contain_text("left out")
    shoot(page, "weights")


def test_parts_of_two_pictures_are_put_together(page, shoot):
    page.click('button[role="tab"]:has-text("Compose")')
    to_people(page, "-compose")
    for n in (0, 5):
        page.click(f"#pw-compose-examples button >> nth={n}")
        slot = 1 if n == 0 else 2
        expect(page.locator(f"#pw-compose-picture-{slot} img")).to_be_visible()
    page.click('#pw-compose-parts-1 label:has-text("Shoulders")')
    page.click('#pw-compose-parts-2 label:has-text("Knees")')
    page.click("#pw-compose-go")
    expect(page.locator(COMPOSED).first).to_be_visible()
    bars = page.locator("#pw-compose-parts .pw-bar")
    expect(bars.filter(has_text="left out")).to_have_count(4)
    shoot(page, "compose")


def test_a_part_without_its_picture_is_asked_for(page):
    page.click('button[role="tab"]:has-text("Compose")')
    to_people(page, "-compose")
    page.click('#pw-compose-parts-3 label:has-text("Head")')
    page.click("#pw-compose-go")
    expect(page.locator(".toast-body")).to_contain_text("picture 3, which is not there")
