"""How much each part speaks for a match, and what decided it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# A part that one of two pictures shows less than this is hidden.
HIDDEN = 0.25
# Leads smaller than this decide nothing.
TELLING = 0.02


class Matched(Protocol):
    """How one part of the query and of a hit go together; `reid.search.PartMatch` is one."""

    @property
    def similarity(self) -> float: ...
    @property
    def visibility(self) -> float: ...


@dataclass(frozen=True)
class PartBar:
    """One part of a match.

    Attributes:
        name: the part.
        similarity: cosine, -1..1.
        visibility: 0..1, how much of it both pictures show.
        weight: 0 for a part that was left out of the match, else 1 or what the user gave.
        strength: similarity x visibility x (weight > 0), from 0 up: the length of the bar.
        lead: how much more alike the part is than among the other results, times visibility; what sets this result
            apart from them. None where there are no others.
    """

    name: str
    similarity: float
    visibility: float
    weight: float
    strength: float
    lead: float | None

    @property
    def hidden(self) -> bool:
        return self.visibility < HIDDEN


def part_bars(
    parts: Mapping[str, Matched],
    others: Sequence[Mapping[str, Matched]] = (),
    weights: Mapping[str, float] | None = None,
) -> list[PartBar]:
    """The bars of one hit, in the order of its parts.

    Args:
        parts: the hit's `parts`.
        others: `parts` of the other results of the same search.
        weights: what the search weighed its parts by; parts that are not named have 1.
    """
    bars = []
    for name, match in parts.items():
        weight = 1.0 if weights is None else weights.get(name, 1.0)
        seen = np.array([other[name].visibility for other in others if name in other])
        lead = None
        if seen.sum() > 0:
            cosines = np.array([other[name].similarity for other in others if name in other])
            lead = match.visibility * (match.similarity - float((seen * cosines).sum() / seen.sum()))
        strength = max(match.similarity, 0.0) * match.visibility * (weight > 0)
        bars.append(PartBar(name, match.similarity, match.visibility, weight, strength, lead))
    return bars


def what_decided(bars: Sequence[PartBar]) -> str:
    """Plain sentences: what sets this result apart from the others, what speaks against it, what is hidden."""
    counted = [bar for bar in bars if bar.weight > 0]
    seen = [bar for bar in counted if not bar.hidden]
    hidden = [bar.name for bar in counted if bar.hidden]
    if not seen:
        return "No part is seen well in both pictures: the whole alone decides, and says little." if counted else ""
    told = [(bar.lead * bar.weight, bar.name) for bar in seen if bar.lead is not None]
    pro = [name for lead, name in sorted(told, reverse=True) if lead > TELLING][:2]
    contra = [name for lead, name in sorted(told) if lead < -TELLING][:2]
    best = max(seen, key=lambda bar: bar.strength)
    sentences = []
    if pro:
        sentences.append(f"What sets this result apart: {' and '.join(pro)}, more alike than in the other results.")
    elif told:
        sentences.append("No part sets this result apart from the others.")
    else:
        sentences.append(f"Most alike: {best.name}.")
    if contra:
        sentences.append(f"Less alike than in the others: {' and '.join(contra)}.")
    if hidden:
        sentences.append(f"Hidden in one of the two: {', '.join(hidden)}.")
    return " ".join(sentences)
