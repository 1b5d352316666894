"""Bars of a match's parts, and the sentence that says what decided it."""

import pytest

from reid.explain.part_bars import part_bars, what_decided
from reid.search import PartMatch


def parts(**values: tuple[float, float]) -> dict[str, PartMatch]:
    return {name: PartMatch(*value) for name, value in values.items()}


OTHERS = [parts(torso=(0.5, 1), legs=(0.6, 1), bag=(0.8, 0.1)), parts(torso=(0.3, 0.5), legs=(0.8, 1), bag=(0.2, 0.1))]


def test_a_bar_is_similarity_times_visibility():
    torso, legs = part_bars(parts(torso=(0.8, 0.5), legs=(-0.4, 1)))
    assert torso.strength == pytest.approx(0.4)
    assert legs.strength == 0
    assert torso.lead is None
    assert not torso.hidden


def test_a_lead_is_over_the_other_results():
    torso, legs, bag = part_bars(parts(torso=(0.9, 0.5), legs=(0.6, 1), bag=(0.9, 0.1)), OTHERS)
    assert torso.lead == pytest.approx(0.5 * (0.9 - (0.5 + 0.5 * 0.3) / 1.5))  # who shows more of it counts more
    assert legs.lead == pytest.approx(0.6 - 0.7)
    assert bag.hidden


def test_what_decided_is_said():
    said = what_decided(part_bars(parts(torso=(0.9, 1), legs=(0.5, 1), bag=(0.9, 0.1)), OTHERS))
    assert said == (
        "What sets this result apart: torso, more alike than in the other results. "
        "Less alike than in the others: legs. Hidden in one of the two: bag."
    )


def test_parts_left_out_are_not_spoken_of():
    bars = part_bars(parts(torso=(0.9, 1), legs=(0.9, 1)), OTHERS, {"torso": 0})
    assert bars[0].strength == 0
    assert "torso" not in what_decided(bars)
    assert "legs" in what_decided(bars)


def test_weights_decide_too():
    match = parts(torso=(0.6, 1), legs=(0.9, 1))
    others = [parts(torso=(0.5, 1), legs=(0.7, 1), arms=(0, 0))]
    assert "legs and torso" in what_decided(part_bars(match, others))
    assert "torso and legs" in what_decided(part_bars(match, others, {"torso": 5}))


def test_alone_or_like_all_others():
    assert what_decided(part_bars(parts(torso=(0.9, 1), legs=(0.5, 1)))) == "Most alike: torso."
    same = parts(torso=(0.5, 1))
    assert "No part sets this result apart" in what_decided(part_bars(same, [same]))


def test_hidden_people_decide_nothing():
    assert "the whole alone decides" in what_decided(part_bars(parts(torso=(0.9, 0.01)), OTHERS))
    assert what_decided([]) == ""
