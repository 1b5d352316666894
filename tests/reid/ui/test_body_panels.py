"""What the result view says of bodies: bars, overlays, the figure in space, and of nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.gpn.anatomy import BONES, JOINTS, LABELS
from reid.backends import Parse, Skeleton
from reid.explain.part_bars import part_bars
from reid.galleries import Item
from reid.search import Hit, PartMatch
from reid.search.keywords import keywords
from reid.studio import Body, Comparison, Found
from reid.ui import results
from reid.ui.panels.body import BodyPanel
from reid.ui.panels.part_bars import PartBars
from reid.ui.panels.space import Space
from reid.ui.weights import MOST_PARTS, PartSliders, collect
from tests.reid.search.mannequins import Tailor, mannequin
from tests.reid.ui.test_markup import Tags

PICTURE, PARSE = mannequin({"upper clothes": (200, 20, 30)})
ITEM = Item(1, "a<b>.png", Path("a.png"), "0" * 64, 64, 128)


def skeleton(confidence: float) -> Skeleton:
    rng = np.random.default_rng(0)
    xy, xyz = rng.uniform(0, 60, (17, 2)), rng.normal(0, 0.5, (17, 3))
    return Skeleton(JOINTS, xy.astype(np.float32), np.full(17, confidence, np.float32), xyz.astype(np.float32), BONES)


def comparison(query: Body | None, body: Body | None, **parts: tuple[float, float]) -> Comparison:
    matches = {name: PartMatch(*each) for name, each in parts.items()}
    hit = Hit(3, ITEM, 0.9, None, matches)
    return Comparison(PICTURE, PICTURE, hit, Tailor.card, None, query, body, part_bars(matches))


def test_a_bar_is_as_long_as_the_part_is_alike_and_seen():
    shown = PartBars().show(comparison(None, None, torso=(0.8, 0.5), legs=(-0.2, 1.0)))
    assert shown is not None
    assert "--pw-seen: 50%" in shown
    assert 'style="width: 40%"' in shown
    assert 'style="width: 0%"' in shown
    assert "0.80 × 0.50" in shown
    assert "Most alike: torso." in shown


def test_parts_left_out_are_said_to_be():
    matches = {"torso": PartMatch(0.8, 1.0)}
    left_out = Comparison(
        PICTURE, PICTURE, Hit(1, ITEM, 0.9, None, matches), Tailor.card, bars=part_bars(matches, (), {"torso": 0})
    )
    assert "left out" in str(PartBars().show(left_out))


def test_backends_without_bodies_or_parts_show_no_panel():
    nothing = comparison(None, None)
    assert PartBars().show(nothing) is None
    assert BodyPanel().show(nothing) is None
    assert Space().show(nothing) is None


def test_skeleton_and_parsing_of_both_are_shown():
    shown = BodyPanel().show(comparison(Body(skeleton(0.9), PARSE), Body(skeleton(0.1), PARSE)))
    parsed = Tags(str(shown))
    assert parsed.tags.count("img") == 4
    assert "17 of 17 joints" in parsed.text
    assert "0 of 17 joints" in parsed.text
    assert "upper clothes" in parsed.text
    assert "bag" not in parsed.text


def test_nobody_is_called_nobody():
    empty = Parse(np.zeros((128, 64), np.uint8), LABELS, PARSE.palette)
    assert "nobody seen" in str(BodyPanel().show(comparison(None, Body(None, empty))))
    assert keywords(PICTURE, empty) == ""


def test_only_poses_stand_in_space():
    assert Space().show(comparison(Body(skeleton(0.1)), Body(skeleton(0.1)))) is None
    figure = Space().show(comparison(Body(skeleton(0.9)), Body(skeleton(0.1))))
    assert {trace.name for trace in figure.data} == {"Query"}
    both = Space().show(comparison(Body(skeleton(0.9)), Body(skeleton(0.9))))
    assert {trace.name for trace in both.data} == {"Query", "Result 3"}


def test_a_note_comes_before_the_results():
    hit = Hit(1, ITEM, 0.9, None, {})
    found = Found(PICTURE, "g", Tailor.card, [hit], 1, 2.0, note="No person is seen <here>.")
    text = results.summary(found)
    assert text.index("No person is seen &lt;here&gt;.") < text.index("result")
    assert "pw-warn" not in results.summary(Found(PICTURE, "g", Tailor.card, [hit], 1, 2.0))


# Sliders


def test_sliders_follow_the_backends_parts():
    import gradio as gr

    with gr.Blocks():
        sliders = PartSliders()
    offered = sliders.offer(Tailor.card)
    assert len(offered) == len(sliders.offered) == MOST_PARTS + 2
    assert [update["visible"] for update in offered[2:]] == [True, True] + [False] * (MOST_PARTS - 2)
    assert [update["label"] for update in offered[2:4]] == ["Upper", "Lower"]
    assert offered[0]["visible"]
    assert not sliders.offer(None)[0]["visible"]


@pytest.mark.parametrize(
    ("values", "weights"),
    [((1, 1, 1), None), ((0, 1, 1), {"upper": 0, "lower": 1}), ((1, 2.5, 0), {"upper": 1, "lower": 2.5})],
)
def test_weights_are_by_part(values, weights):
    assert collect(Tailor.card, values) == weights


def test_every_backend_has_sliders_enough():
    from reid.backends import cards
    from reid.backends.gpn import Gpn

    assert max(len(card.parts) for card in [*cards(), Gpn.card]) <= MOST_PARTS
