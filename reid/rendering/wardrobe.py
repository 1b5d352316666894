"""What a person wears: drawn trait by trait, with colours as a street has them, and said in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from reid.rendering.pose import Habit

# name: (colour as the eye sees it, weights on upper clothes, on lower clothes, on bags and shoes). Streets are mostly
# black, grey, blue and white; strong colours are rare.
PALETTE: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "black": ((0.09, 0.09, 0.10), (16, 26, 40)),
    "dark grey": ((0.21, 0.21, 0.23), (8, 12, 10)),
    "grey": ((0.43, 0.43, 0.45), (9, 8, 8)),
    "light grey": ((0.66, 0.66, 0.67), (6, 3, 3)),
    "white": ((0.88, 0.87, 0.85), (20, 4, 12)),
    "navy blue": ((0.12, 0.14, 0.25), (7, 9, 6)),
    "blue": ((0.20, 0.31, 0.56), (5, 3, 3)),
    "light blue": ((0.58, 0.69, 0.81), (4, 2, 1)),
    "red": ((0.62, 0.13, 0.14), (4, 1, 3)),
    "dark red": ((0.33, 0.10, 0.13), (2, 1, 1)),
    "pink": ((0.82, 0.56, 0.60), (4, 1, 2)),
    "orange": ((0.80, 0.42, 0.18), (1.5, 0.3, 1)),
    "yellow": ((0.84, 0.73, 0.32), (2, 0.4, 1)),
    "green": ((0.17, 0.36, 0.22), (2, 0.6, 1)),
    "light green": ((0.52, 0.68, 0.42), (1, 0.3, 0.5)),
    "olive": ((0.33, 0.33, 0.22), (2, 3, 2)),
    "khaki": ((0.58, 0.52, 0.40), (2, 6, 2)),
    "beige": ((0.76, 0.69, 0.58), (3, 4, 3)),
    "brown": ((0.33, 0.23, 0.17), (2, 3, 9)),
    "purple": ((0.36, 0.22, 0.43), (2, 0.6, 1)),
    "turquoise": ((0.22, 0.50, 0.52), (1.5, 0.3, 0.5)),
}
DENIM = ((0.13, 0.17, 0.27), (0.22, 0.29, 0.42), (0.38, 0.47, 0.58), (0.10, 0.11, 0.15), (0.55, 0.62, 0.70))
HAIR = {
    "black": ((0.07, 0.06, 0.06), 52),
    "dark brown": ((0.14, 0.10, 0.08), 20),
    "brown": ((0.27, 0.18, 0.12), 12),
    "blond": ((0.58, 0.46, 0.30), 7),
    "grey": ((0.50, 0.50, 0.50), 6),
    "red": ((0.38, 0.17, 0.10), 3),
}
Colour = tuple[float, float, float]
_UPPER, _LOWER, _BAG = range(3)


@dataclass(frozen=True)
class Outfit:
    """All traits of a look. The colours of a trait are the first and second, as the eye sees them, and a name."""

    female: bool
    upper: str
    upper_colours: tuple[Colour, Colour, str]
    upper_pattern: str
    print_: bool
    outer: str
    outer_colours: tuple[Colour, Colour, str]
    lower: str
    lower_colours: tuple[Colour, Colour, str]
    lower_pattern: str
    shoes: str
    shoe_colours: tuple[Colour, Colour, str]
    hair: str
    hair_colour: tuple[Colour, str]
    hat: str
    hat_colour: tuple[Colour, str]
    bag: str
    bag_colours: tuple[Colour, Colour, str]
    item: str
    glasses: bool
    cut: tuple[float, ...]
    """Uniform numbers that set lengths and widths: sleeve, hem, collar, trouser length, width, flare, drape, print."""

    @property
    def habit(self) -> Habit:
        left = {"umbrella": "raised", "folder": "hold", "bottle": "carry", "phone": "hold"}.get(self.item, "free")
        right = {"handbag": "carry", "briefcase": "carry", "shoulder bag": "strap", "trolley": "pull"}
        return Habit(left, right.get(self.bag, "free") if self.bag != "shoulder bag" or self.cut[0] < 0.4 else "free")

    @property
    def words(self) -> str:
        """What is worn, comma between: colour and pattern of the upper and lower clothes, shoes, bag, hat, hair."""
        pattern = {"plain": "", "stripes": "striped ", "bars": "striped ", "plaid": "checked ", "checks": "checked "}
        said = [f"{self.upper_colours[2]} {pattern.get(self.upper_pattern, self.upper_pattern + ' ')}upper"]
        said.append(self.upper)
        if self.outer:
            said.append(f"{self.outer_colours[2]} {self.outer}")
        if self.lower:
            said += [f"{self.lower_colours[2]} lower", self.lower]
        said.append(f"{self.shoe_colours[2]} {self.shoes}")
        if self.bag:
            said.append(f"{self.bag_colours[2]} {self.bag}")
        if self.item:
            said.append(self.item)
        if self.hat:
            said.append(f"{self.hat_colour[1]} {self.hat}")
        said.append("bald" if self.hair == "bald" else f"{self.hair} {self.hair_colour[1]} hair")
        if self.glasses:
            said.append("glasses")
        return ", ".join(said)


def _pick(rng: np.random.Generator, choices: Mapping[str, float]) -> str:
    weights = np.array(list(choices.values()), float)
    return list(choices)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _colour(rng: np.random.Generator, column: int) -> tuple[Colour, str]:
    name = _pick(rng, {n: weights[column] for n, (_, weights) in PALETTE.items()})
    base = np.array(PALETTE[name][0])
    bright = np.exp(rng.normal(0, 0.14))
    mixed = np.clip(base * bright + rng.normal(0, 0.018, 3), 0.05, 0.93)
    return (float(mixed[0]), float(mixed[1]), float(mixed[2])), name


def _colours(rng: np.random.Generator, column: int) -> tuple[Colour, Colour, str]:
    """A pair that goes together: the second is neutral, or a lighter or darker kin of the first."""
    first, name = _colour(rng, column)
    if rng.random() < 0.35:
        kin = np.clip(np.array(first) * rng.choice([0.45, 1.7]) + rng.normal(0, 0.03, 3), 0.05, 0.92)
        return first, (float(kin[0]), float(kin[1]), float(kin[2])), name
    return first, _colour(rng, column)[0], name


def colour_name(colour: Colour) -> str:
    """The palette's name that comes nearest to a colour."""
    return min(PALETTE, key=lambda name: float(np.sum((np.array(PALETTE[name][0]) - colour) ** 2)))


def draw_outfit(seed: tuple[int, ...], female: bool) -> Outfit:
    """The outfit of a seed. Each trait has a stream of its own, so that `twin` can change one and leave the rest."""
    return _draw(seed, female, {})


def twin(seed: tuple[int, ...], female: bool, rng: np.random.Generator) -> Outfit:
    """The outfit of a seed but for one or two traits that differ: a garment, its colour, the bag or the haircut."""
    groups = ["upper", "upper_colours", "lower", "lower_colours", "bag", "hair", "outer", "shoes", "hat"]
    weights = np.array([2, 3, 2, 2, 3, 2, 2, 1, 1], float)
    changed = rng.choice(groups, size=int(rng.integers(1, 3)), replace=False, p=weights / weights.sum())
    base = draw_outfit(seed, female)
    for salt in range(1, 20):
        other = _draw(seed, female, {str(name): salt for name in changed})
        if other != base:
            return other
    return replace(base, glasses=not base.glasses)


def _draw(seed: tuple[int, ...], female: bool, salts: dict[str, int]) -> Outfit:
    def stream(trait: str) -> np.random.Generator:
        return np.random.default_rng([*seed, *trait.encode(), salts.get(trait, 0)])

    cut = tuple(float(x) for x in stream("cut").random(12))
    r = stream("upper")
    warm = stream("season").random()  # 0 deep summer .. 1 winter; the parts of an outfit agree about it
    summer = {"t-shirt": 9, "shirt": 2, "short-sleeved shirt": 2, "polo shirt": 2.5, "tank top": 1.5 if female else 0.5}
    if female:
        summer |= {"blouse": 2, "dress": 2.6}
    winter = {"sweater": 4, "long-sleeved top": 4, "hoodie": 3, "shirt": 3, "t-shirt": 3, "turtleneck": 1}
    if female:
        winter |= {"dress": 1}
    upper = _pick(r, winter if warm > 0.6 else summer)
    odds = {
        "plain": 60,
        "stripes": 8,
        "bars": 2,
        "plaid": 3,
        "block": 6,
        "raglan": 5,
        "floral": 3,
        "dotted": 2,
        "checks": 1,
    }
    if upper in ("shirt", "short-sleeved shirt"):
        odds = {"plain": 50, "plaid": 22, "checks": 10, "bars": 12, "dotted": 3}
    if upper in ("dress", "blouse"):
        odds = {"plain": 50, "floral": 25, "dotted": 12, "stripes": 8, "fading": 3}
    upper_pattern = _pick(r, odds)
    print_ = upper_pattern in ("plain", "raglan") and upper in ("t-shirt", "hoodie", "sweater", "long-sleeved top")
    print_ = print_ and r.random() < 0.55
    upper_colours = _colours(stream("upper_colours"), _UPPER)
    r = stream("outer")
    outer = ""
    if warm > 0.55 and r.random() < 0.55:
        outer = _pick(r, {"jacket": 5, "open jacket": 5, "coat": 3, "cardigan": 2 if female else 1, "vest": 1})
    elif r.random() < 0.06:
        outer = _pick(r, {"open jacket": 3, "cardigan": 2})
    outer_colours = _colours(r, _LOWER)
    r = stream("lower")
    if upper == "dress":
        lower = "leggings" if r.random() < 0.25 else ""
    elif warm > 0.6:
        lower = _pick(r, {"jeans": 6, "trousers": 5, "leggings": 2 if female else 0.2, "skirt": 1 if female else 0})
    else:
        lower = _pick(
            r,
            {
                "jeans": 4,
                "trousers": 4,
                "shorts": 4 if female else 6,
                "cropped trousers": 1.5,
                "leggings": 1.2 if female else 0,
                "skirt": 2 if female else 0,
            },
        )
    lower_pattern = _pick(r, {"plain": 80, "side stripe": 8, "blotches": 2, "plaid": 2})
    rc = stream("lower_colours")
    lower_colours = _colours(rc, _LOWER)
    if lower == "jeans" or (lower in ("shorts", "skirt") and rc.random() < 0.3):
        shade = DENIM[int(rc.choice(5, p=[0.34, 0.28, 0.18, 0.12, 0.08]))]
        mixed = np.clip(np.array(shade) + rc.normal(0, 0.015, 3), 0.05, 0.9)
        names = {0: "navy blue", 1: "blue", 2: "blue", 3: "black", 4: "light blue"}
        tone = (float(mixed[0]), float(mixed[1]), float(mixed[2]))
        lower_colours, lower_pattern = (tone, tone, names[DENIM.index(shade)]), "denim"
    r = stream("shoes")
    shoes = _pick(
        r,
        {
            "sneakers": 6,
            "shoes": 3,
            "boots": 2 if warm > 0.6 else 0.2,
            "sandals": 2.2 if warm < 0.5 else 0,
            "flats": 2 * female,
        },
    )
    shoe_colours = _colours(r, _BAG)
    r = stream("hair")
    hair = _pick(
        r,
        {"long": 7, "ponytail": 6, "bun": 2, "bob": 4, "short": 2}
        if female
        else {"short": 9, "cropped": 5, "bald": 1, "full": 3, "long": 0.3},
    )
    hue = _pick(r, {name: entry[1] for name, entry in HAIR.items()})
    tint = np.clip(np.array(HAIR[hue][0]) * np.exp(r.normal(0, 0.15)), 0.04, 0.8)
    hair_colour = ((float(tint[0]), float(tint[1]), float(tint[2])), hue)
    r = stream("hat")
    hat = _pick(r, {"": 84, "cap": 9, "beanie": 4 if warm > 0.6 else 0.3, "sun hat": 3 if warm < 0.5 else 0})
    hat_colour = _colour(r, _BAG)
    r = stream("bag")
    bag = _pick(
        r,
        {"": 44, "backpack": 24, "shoulder bag": 13, "handbag": 12 if female else 4, "briefcase": 3, "carrier bag": 4},
    )
    bag_colours = _colours(r, _BAG)
    r = stream("item")
    item = _pick(r, {"": 84, "phone": 5, "bottle": 4, "folder": 5, "umbrella": 2})
    return Outfit(
        female, upper, upper_colours, upper_pattern, print_, outer, outer_colours, lower, lower_colours, lower_pattern,
        shoes, shoe_colours, hair, hair_colour, hat, hat_colour, bag, bag_colours, item, r.random() < 0.16, cut,
    )  # fmt: skip
