"""Making, filling, describing and deleting a gallery."""

from __future__ import annotations

import zipfile

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.browser.conftest import PHONE, ROOT

PHOTOS = ROOT / "gallery" / "photos"
ITEMS = "#pw-items .pw-card"


@pytest.fixture
def galleries(page) -> Page:
    page.click('button[role=tab]:has-text("Galleries")')
    page.wait_for_selector(ITEMS)
    return page


def create(page: Page, name: str, files: list) -> None:
    page.fill("#pw-new-name input, #pw-new-name textarea", name)
    page.set_input_files("#pw-new-files input[type=file]", files)
    page.wait_for_selector("#pw-new-files .file-preview, #pw-new-files table")
    page.click("#pw-create")


def delete(page: Page) -> None:
    """Ask for it, and confirm; the question goes away when the page is drawn anew meanwhile."""
    sure = page.locator("button:has-text('Delete for good')")
    for last in (False, False, True):
        page.click("#pw-delete")
        try:
            sure.click(timeout=None if last else 5000)
        except TimeoutError:
            if last:
                raise
        else:
            return


def test_a_gallery_is_made_searched_and_deleted(galleries, tmp_path):
    page = galleries
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    create(page, "front door", [PHOTOS / "0001_c1.jpg", PHOTOS / "0002_c1.jpg", PHOTOS / "0007_c1.jpg", broken])
    expect(page.locator("#pw-report")).to_contain_text("3 pictures added to front door")
    expect(page.locator("#pw-report")).to_contain_text("broken.jpg")
    expect(page.locator(ITEMS)).to_have_count(3)

    page.click('button[role=tab]:has-text("Search")')
    page.click("#pw-gallery input")
    page.click('#pw-gallery [role="option"]:has-text("front door")')
    page.set_input_files("#pw-query input[type=file]", PHOTOS / "0002_c6.jpg")
    expect(page.locator("#pw-grid .pw-card")).to_have_count(3)
    assert page.locator("#pw-grid .pw-name").first.inner_text() == "0002_c1.jpg"

    page.click('button[role=tab]:has-text("Galleries")')
    expect(page.locator("#pw-gallery-about")).to_contain_text("front door")
    delete(page)
    expect(page.locator("#pw-report")).to_contain_text("front door is deleted")
    expect(page.locator("#pw-galleries")).not_to_contain_text("front door")


def test_a_zip_brings_identities_and_words_are_kept(galleries, tmp_path):
    page = galleries
    file = tmp_path / "zipped.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for identity in ("0001", "0002"):
            for camera in ("c1", "c2"):
                archive.write(PHOTOS / f"{identity}_{camera}.jpg", f"{identity}/{camera}.jpg")
    create(page, "zipped", [file])
    expect(page.locator("#pw-gallery-about")).to_contain_text("Identities2")
    page.click(f"{ITEMS} >> nth=3")
    page.fill("#pw-item textarea", "espresso")
    page.click("button:has-text('Save words')")
    expect(page.locator("#pw-report")).to_contain_text("saved")
    page.fill("#pw-filter input, #pw-filter textarea", "espresso")
    page.press("#pw-filter input, #pw-filter textarea", "Enter")
    expect(page.locator(ITEMS)).to_have_count(1)
    page.click(ITEMS)
    page.click("button:has-text('Remove picture')")
    expect(page.locator("#pw-report")).to_contain_text("0002/c2.jpg is out of the gallery")
    expect(page.locator("#pw-gallery-about")).to_contain_text("Pictures3")
    delete(page)
    expect(page.locator("#pw-galleries")).not_to_contain_text("zipped")


def test_renaming_and_exporting(galleries, tmp_path):
    page = galleries
    create(page, "porch", [PHOTOS / "0003_c1.jpg"])
    expect(page.locator(ITEMS)).to_have_count(1)
    page.click("#pw-rename")
    page.fill("#pw-new-title input, #pw-new-title textarea", "back porch")
    page.click("#pw-rename-now")
    expect(page.locator("#pw-gallery-about")).to_contain_text("back porch")
    with page.expect_download() as download:
        page.click("#pw-export")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len([name for name in archive.namelist() if name.startswith("pictures/")]) == 1
    assert download.value.suggested_filename == "back porch.zip"
    delete(page)
    expect(page.locator("#pw-galleries")).not_to_contain_text("back porch")


def test_a_name_is_asked_for(galleries):
    create(galleries, "", [PHOTOS / "0003_c1.jpg"])
    expect(galleries.locator(".toast-body")).to_contain_text("needs a name")


def test_what_ships_can_be_looked_into_but_not_changed(galleries, shoot):
    page = galleries
    page.click("#pw-galleries button:has-text('photos')")
    expect(page.locator("#pw-gallery-about")).to_contain_text("read only")
    expect(page.locator("#pw-delete")).to_be_hidden()
    page.click(f"{ITEMS}:has-text('0002_c1.jpg')")
    expect(page.locator("#pw-item")).to_contain_text("coffee cup")
    expect(page.locator("button:has-text('Save words')")).to_be_hidden()
    shoot(page, "galleries")


def test_deleting_asks_first(galleries):
    page = galleries
    create(page, "keeper", [PHOTOS / "0003_c1.jpg"])
    expect(page.locator(ITEMS)).to_have_count(1)
    page.click("#pw-delete")
    page.click("button:has-text('Keep it')")
    expect(page.locator("button:has-text('Delete for good')")).to_be_hidden()
    expect(page.locator("#pw-galleries")).to_contain_text("keeper")
    delete(page)
    expect(page.locator("#pw-galleries")).not_to_contain_text("keeper")


def test_a_phone_has_room_for_it(open_page, shoot):
    page = open_page(PHONE)
    page.click('button[role=tab]:has-text("Galleries")')
    page.wait_for_selector(ITEMS)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    shoot(page, "phone-galleries")
