"""Sliders that weigh the parts of a backend: 1 as it comes, 0 leaves the part out of the match."""

from __future__ import annotations

from typing import Any

import gradio as gr

from reid.backends import Card
from reid.ui.markup import text

# More parts than any backend has; sliders beyond a backend's own stay hidden.
MOST_PARTS = 12
HIGHEST = 3


class PartSliders:
    """Build it where the sliders shall stand; `collect` gathers their values into `weights`."""

    def __init__(self) -> None:
        self.weights = gr.State(None)
        with gr.Accordion("Weigh the parts", open=False, visible=False, elem_id="pw-weights") as self.frame:
            text(
                '<p class="pw-quiet">As soon as one is moved, the parts alone decide; at 0 a part leaves the match.</p>'
            )
            self.sliders = [
                gr.Slider(0, HIGHEST, value=1, step=0.1, label=f"Part {n}", visible=False, buttons=["reset"])
                for n in range(1, MOST_PARTS + 1)
            ]

    @property
    def offered(self) -> list[Any]:
        """The components that `offer` updates, in its order."""
        return [self.frame, self.weights, *self.sliders]

    @property
    def released(self) -> list[Any]:
        """The events that follow a hand that let go of a slider."""
        return [slider.release for slider in self.sliders]

    def offer(self, card: Card | None) -> list[Any]:
        """Updates for another backend: its parts, each of weight 1."""
        parts = card.parts if card else ()
        named = [gr.update(visible=True, label=part.capitalize(), value=1) for part in parts]
        return [gr.update(visible=bool(parts)), None, *named, *[gr.update(visible=False)] * (MOST_PARTS - len(parts))]


def collect(card: Card | None, values: tuple[float, ...]) -> dict[str, float] | None:
    """The sliders' values by part name; None where all are 1, as they come."""
    weights = dict(zip(card.parts if card else (), map(float, values), strict=False))
    return None if all(weight == 1 for weight in weights.values()) else weights
