"""Figures of keywords, counted by hand on a few words."""

import pytest

from benchmarks.attributes import LOWER, NEAREST, UPPER, balanced, colour_of, rows

NO = {"backpack": 1, "bag": 1, "handbag": 1, "hat": 1, "hair": 1, "down": 1}


def wearing(up: str, down: str, **more: int) -> dict[str, int]:
    colours = {f"up{c}": 1 + (c == up) for c in UPPER} | {f"down{c}": 1 + (c == down) for c in LOWER}
    return NO | colours | more


ATTRIBUTES = {"a": wearing("red", "gray", backpack=2), "b": wearing("blue", "black"), "c": wearing("none", "pink")}
SAID = [
    ("a", ["red upper", "grey lower", "black backpack", "bag"]),
    ("a", ["pink upper", "black lower"]),
    ("a", ["blue upper", "grey lower", "bag"]),
    ("b", ["blue upper", "black lower"]),
    ("c", ["red lower"]),
    ("nobody", ["red upper"]),
]


def test_colours_we_have_and_the_set_lacks_count_as_the_nearest():
    assert colour_of(["black shoes", "orange upper"], "upper", NEAREST["up"]) == "red"
    assert colour_of(["grey lower"], "lower", NEAREST["down"]) == "gray"
    assert colour_of(["grey lower"], "upper", NEAREST["up"]) == ""


def test_accuracies():
    found = {what: (picture, identity) for what, picture, identity in rows(SAID, ATTRIBUTES)}
    assert found["upper colour"] == pytest.approx((75, 100))  # c has none of the set's colours: not counted
    assert found["lower colour"] == pytest.approx((80, 100))
    assert found["hat"] == (100, 100)


def test_yes_and_no_weigh_the_same():
    by_picture, by_identity = balanced(SAID, "bag", ATTRIBUTES, ("backpack", "bag", "handbag"))
    assert by_picture == pytest.approx((200 / 3 + 100) / 2)
    assert by_identity == pytest.approx(100)
