"""A bar a body part: as long as the part is alike and seen, and a sentence on what decided the match."""

from __future__ import annotations

import gradio as gr

from reid.explain.part_bars import PartBar, what_decided
from reid.studio import Comparison
from reid.ui.markup import attributes, esc, text


class PartBars:
    def build(self, place: str = "pw") -> gr.HTML:
        return text(elem_id=f"{place}-parts", elem_classes="pw-parts")

    def show(self, comparison: Comparison) -> str | None:
        if not comparison.bars:
            return None
        rows = "".join(_row(bar) for bar in comparison.bars)
        return (
            f'<h3>Part by part</h3><p class="pw-quiet">{esc(what_decided(comparison.bars))}</p>'
            f'<div class="pw-bars" role="table" aria-label="Body parts">{rows}</div>'
            '<p class="pw-quiet">A bar is similarity × visibility; its groove ends where visibility does.</p>'
        )


def _row(bar: PartBar) -> str:
    left_out = bar.weight == 0
    said = "left out" if left_out else f"{bar.similarity:.2f} × {bar.visibility:.2f}"
    state = "pw-out" if left_out or bar.hidden else ""
    label = f"{bar.name}: " + (
        "left out of the match" if left_out else f"similarity {bar.similarity:.2f}, visibility {bar.visibility:.2f}"
    )
    return (
        f'<div class="pw-bar {state}" role="row"{attributes(aria_label=label)}><span>{esc(bar.name)}</span>'
        f'<span class="pw-groove" style="--pw-seen: {100 * bar.visibility:.0f}%"><i style="width: '
        f'{100 * min(bar.strength, 1):.0f}%"></i></span><code>{esc(said)}</code></div>'
    )
