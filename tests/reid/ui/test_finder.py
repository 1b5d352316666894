"""The finder's panel: numbered boxes where they belong, and what a click or a drawn box stands for."""

import re

import gradio as gr
import pytest

from reid.studio import Frame
from reid.ui import finder

FRAME = Frame((200, 100), ((20, 10, 40, 60), (0, 0, 200, 100)), ("person", "car"), (0.9, 0.5), True, "Click <whom>.")


def test_boxes_lie_where_they_were_found():
    shown = finder.markup(FRAME, "data:,")
    buttons = re.findall(r"<button.*?</button>", shown)
    assert len(buttons) == 2
    assert '<b class="pw-inside">2</b>' in buttons[0], "the large one lies below"
    assert "left:10.00%;top:10.00%;width:10.00%;height:50.00%" in buttons[1]
    assert 'aria-label="person 1, score 0.90"' in buttons[1]
    assert "Click &lt;whom&gt;." in shown


def test_a_frame_without_boxes_is_folded():
    shown = finder.markup(Frame((200, 100), (), (), (), True, "Nobody <here>."), "data:,")
    assert re.fullmatch(r"<details.*</details>", shown)
    assert '<summary class="pw-note">Nobody &lt;here&gt;.</summary>' in shown
    assert "<details" not in finder.markup(FRAME, "data:,")


def test_a_click_and_a_drawn_box():
    assert finder.chosen(gr.EventData(None, {"index": 1}), FRAME) == (0, 0, 200, 100)
    assert finder.chosen(gr.EventData(None, {"box": [0.1, 0.2, 0.5, 1.0]}), FRAME) == pytest.approx((20, 20, 100, 100))
    assert finder.chosen(gr.EventData(None, {"index": 0}), None) is None


class Seeing:
    """A studio that sees what it is told to see."""

    def __init__(self, frame):
        self.frame = frame

    def look(self, path):
        return self.frame


def test_the_panel_stays_empty_where_there_is_nothing_to_choose(tmp_path):
    path = tmp_path / "a.png"
    crop = Frame((200, 100), ((0, 0, 200, 100),), ("person",), (0.9,), False, "")
    assert finder.look(Seeing(FRAME), None) == (None, "")
    assert finder.look(Seeing(None), path) == (None, "")
    assert finder.look(Seeing(crop), path) == (None, "")
