"""The page is built, its errors are sentences, and it asks no other host for anything."""

from __future__ import annotations

import inspect

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import ImageData

from reid.errors import ImageError
from reid.images import save_image
from reid.studio import Studio
from reid.ui import TABS, build
from reid.ui.guard import guarded
from reid.ui.raw_image import raw_image
from reid.ui.theme import STYLESHEET, theme


@pytest.fixture
def page(tmp_path) -> gr.Blocks:
    return build(Studio(tmp_path / "data", shipped=None))


def test_every_tab_is_on_the_page(page):
    tabs = [block for block in page.blocks.values() if isinstance(block, gr.Tab)]
    assert [tab.label for tab in tabs] == [entry.TITLE for entry in TABS]


def test_every_input_has_a_name(page):
    inputs = (gr.Textbox, gr.Dropdown, gr.Slider, gr.Checkbox, gr.Radio, gr.File, gr.Image)
    for block in page.blocks.values():
        if isinstance(block, inputs):
            assert block.label, f"{block} has no label"


def test_no_index_lives_in_a_session(page):
    for block in page.blocks.values():
        if isinstance(block, gr.State):
            assert block.value is None or isinstance(block.value, int | str)


def test_nothing_is_asked_of_other_hosts(page):
    assert page.analytics_enabled is False
    fonts = theme()._stylesheets
    assert fonts == []  # the fonts come with Gradio
    css = STYLESHEET.read_text(encoding="utf-8")
    assert "http" not in css
    assert "@import" not in css


def test_a_users_error_becomes_a_notice():
    @guarded
    def handler(path: str, request: gr.Request) -> None:
        """Documented."""
        raise ImageError(f"{path} is cut off.")

    with pytest.raises(gr.Error, match=r"a\.jpg is cut off"):
        handler("a.jpg", None)
    # Gradio fills in parameters by their annotation, so the wrapper must not hide them.
    assert list(inspect.signature(handler).parameters) == ["path", "request"]


def test_other_errors_stay_what_they_are():
    @guarded
    def handler() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        handler()


def test_a_query_arrives_as_it_came(tmp_path):
    with gr.Blocks():
        image = raw_image(label="Query")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    assert image.preprocess(ImageData(path=str(broken))) == broken  # judged by the program, not by the component
    assert image.preprocess(None) is None


def test_a_query_that_is_set_may_lie_anywhere(tmp_path):
    with gr.Blocks():
        image = raw_image(label="Query")
    save_image(tmp_path / "example.png", np.zeros((20, 20, 3), np.uint8))
    shown = image.postprocess(tmp_path / "example.png")
    assert shown.orig_name == "example.png"
    assert shown.path.startswith(image.GRADIO_CACHE)
