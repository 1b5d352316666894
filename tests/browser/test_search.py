"""Searching as a person does: by an example, an upload, a paste and the camera."""

from __future__ import annotations

import cv2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, ROOT

QUERY = ROOT / "gallery" / "photos" / "0002_c6.jpg"  # a coffee cup
PEOPLE = ROOT / "gallery" / "people"
CARDS = "#pw-grid .pw-card"


def choose(page: Page, dropdown: str, value: str) -> None:
    page.click(f"{dropdown} input")
    page.click(f'{dropdown} [role="option"]:has-text("{value}")')


def identities(page: Page) -> list[str]:
    return page.locator(f"{CARDS} .pw-chip[title^=identity]").all_inner_texts()


@pytest.fixture
def page(open_page) -> Page:
    """The app with the sample photographs chosen: what their search must find is known."""
    return photographs(open_page())


def photographs(page: Page) -> Page:
    choose(page, "#pw-gallery", "photos")
    expect(page.locator("#pw-backend input")).to_have_value("sift")
    expect(page.locator("#pw-examples button")).to_have_count(11)
    return page


def test_a_first_search_takes_one_click_and_finds_people(open_page, shoot):
    page = open_page()
    page.click("#pw-examples button >> nth=1")
    expect(page.locator(CARDS)).to_have_count(12)
    expect(page.locator("#pw-status")).to_contain_text("in people by gpn")
    expect(page.locator("#pw-detail h2")).to_have_text("Why result 1?")
    expect(page.locator("#pw-card")).to_contain_text("research only")
    shoot(page, "search")


def test_matching_keypoints_are_joined(page, shoot):
    page.click("#pw-examples button >> nth=1")
    expect(page.locator(CARDS)).to_have_count(12)
    assert identities(page)[:2] == ["0002", "0002"]
    expect(page.locator("#pw-detail h2")).to_have_text("Why result 1?")
    expect(page.locator("#pw-pair svg image")).to_have_count(2)
    assert page.locator("#pw-pair line").count() > 10  # keypoints of the same cup, joined
    shoot(page, "matches")
    page.click(f"{CARDS} >> nth=2")
    expect(page.locator("#pw-detail h2")).to_have_text("Why result 3?")
    expect(page.locator(f"{CARDS}[aria-pressed=true]")).to_have_count(1)


def test_results_are_walked_by_keyboard(page):
    page.click("#pw-examples button >> nth=0")
    page.focus(f"{CARDS} >> nth=0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#pw-detail h2")).to_have_text("Why result 2?")


def test_an_upload_is_searched_with_another_backend(page):
    choose(page, "#pw-backend", "hsv-stripes")
    page.set_input_files("#pw-query input[type=file]", QUERY)
    expect(page.locator(CARDS)).to_have_count(12)
    expect(page.locator("#pw-status")).to_contain_text("by hsv-stripes")
    assert identities(page)[0] == "0002"
    expect(page.locator("#pw-pair line")).to_have_count(0)
    assert "%" not in page.inner_text("#pw-grid")


def test_a_pasted_picture_is_searched(page):
    page.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement('canvas'), {width: 200, height: 150});
            const context = canvas.getContext('2d');
            context.fillStyle = '#a33'; context.fillRect(20, 20, 90, 90);
            const blob = await new Promise(done => canvas.toBlob(done, 'image/png'));
            await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
        }"""
    )
    page.click('#pw-query button[aria-label="Paste from clipboard"]')
    expect(page.locator(CARDS)).to_have_count(12)


def test_the_camera_takes_a_query(page):
    page.click('#pw-query button[aria-label="Capture from camera"]')
    page.click("#pw-query button:has-text('Webcam')")
    # A click before the first frame is there takes nothing.
    page.wait_for_function("document.querySelector('#pw-query video')?.videoWidth > 0")
    shutter = page.locator('#pw-query button[aria-label="capture photo"]')
    for _ in range(4):  # on a slow machine the first frame may still be empty: one presses again
        if shutter.is_visible():
            shutter.click()
        page.wait_for_timeout(4000)
        if page.locator(CARDS).count():
            break
    expect(page.locator(CARDS)).to_have_count(12)


def test_a_broken_picture_is_named_and_the_page_goes_on(page, tmp_path):
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(QUERY.read_bytes()[:3000])
    page.set_input_files("#pw-query input[type=file]", broken)
    expect(page.locator(".toast-body")).to_contain_text("holiday.jpg")
    page.click("#pw-examples button >> nth=3")
    expect(page.locator(CARDS)).to_have_count(12)
    assert identities(page)[0] == "0004"


def test_words_narrow_the_search(page):
    page.click("#pw-options button")
    words = page.locator("#pw-words textarea, #pw-words input")
    for _ in range(5):  # what the gallery brings along may still be on its way on a busy machine, and clear the field
        words.fill("brick")
        page.wait_for_timeout(1_000)
        if words.input_value() == "brick":
            break
    page.click("#pw-examples button >> nth=1")
    expect(page.locator(CARDS)).to_have_count(5)
    assert set(identities(page)) == {"0007"}


def test_the_querys_own_camera_can_be_left_out(open_page):
    page = open_page()
    page.click("#pw-options button")
    box = page.locator("#pw-elsewhere")
    expect(box).to_be_hidden()
    page.click("#pw-examples button >> nth=1")
    expect(box).to_contain_text("own camera, c")
    own = page.locator(f'{CARDS} .pw-chip[title="camera {box.inner_text().split(", ")[-1].strip()}"]')
    expect(page.locator(CARDS)).to_have_count(12)
    assert own.count() > 0
    box.locator("input").check()
    expect(own).to_have_count(0)
    expect(page.locator(CARDS)).to_have_count(12)
    page.set_input_files("#pw-query input[type=file]", QUERY)  # no picture of this gallery
    expect(box).to_be_hidden()


def test_whoever_stands_in_the_way_is_taken_out_of_a_match_by_parts(open_page, tmp_path, shoot):
    mine, theirs = (cv2.imread(str(PEOPLE / name)) for name in ("0050_c1s1_000001_00.jpg", "0001_c1s1_000002_00.jpg"))
    height, width = mine.shape[:2]
    theirs = cv2.resize(theirs, (width, height))
    columns = round(0.4 * width)
    mine[:, :columns] = theirs[:, (width - columns) // 2 :][:, :columns]
    cv2.imwrite(str(tmp_path / "beside.png"), mine)
    page = open_page()
    page.set_input_files("#pw-query input[type=file]", tmp_path / "beside.png")
    expect(page.locator(CARDS)).to_have_count(12)
    painted_over = page.get_by_text("Somebody hides part of the query")
    expect(painted_over).to_have_count(0)
    page.click("#pw-options button")
    page.click('#pw-rerank label:has-text("parts")')
    expect(painted_over).to_be_visible()
    assert identities(page)[0] == "0050"
    page.evaluate("scrollTo(0, 0)")
    shoot(page, "revealed")


def test_everything_has_a_name_to_a_screen_reader(page):
    page.click("#pw-examples button >> nth=1")
    expect(page.locator(CARDS)).to_have_count(12)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea, img, svg[role=img]')]
            .filter(e => e.offsetParent !== null)
            .filter(e => !(e.getAttribute('aria-label') || e.title || e.innerText?.trim() || e.labels?.length
                || e.hasAttribute('alt') || e.closest('label')))
            .map(e => e.outerHTML.slice(0, 160))"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_results_at_once(open_page, shoot, scheme):
    page = open_page(PHONE, scheme)
    page.click("#pw-examples button >> nth=1")
    expect(page.locator(CARDS)).to_have_count(12)
    expect(page.locator("#pw-pair")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    if scheme == "light":
        shoot(page, "phone")


def test_the_dark_desktop(open_page, shoot):
    page = open_page(scheme="dark")
    page.click("#pw-examples button >> nth=0")
    expect(page.locator(CARDS)).to_have_count(12)
    ink, paper = page.evaluate(
        """() => [getComputedStyle(document.querySelector('#pw-detail h2')).color,
                  getComputedStyle(document.querySelector('#pw-detail')).backgroundColor]
            .map(c => c.match(/\\d+/g).slice(0, 3).reduce((sum, v) => sum + Number(v), 0))"""
    )
    assert ink > 600 > 150 > paper
    shoot(page, "dark")
