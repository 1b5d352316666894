"""How what was found looks on the page: the cards, and what speaks for the one that is picked."""

from __future__ import annotations

from typing import Any

import gradio as gr

from reid.studio import Found, Studio
from reid.ui import markup, shelf
from reid.ui.markup import esc
from reid.ui.panels import PANELS
from reid.ui.thumbnails import thumbnails

HOW_TO_READ = """
<details class="pw-help"><summary>How to read the scores</summary>
<p><b>Similarity</b> is the cosine of two embeddings. It ranks the pictures of one search and cannot be compared between
backends. 0.8 does not mean &ldquo;80&nbsp;% the same&rdquo;: two strangers in like coats can score that high.</p>
<p><b>Margin</b> is the lead of this picture's identity over the identity that follows it in the ranking. Where it is
small, the backend could hardly tell the two apart.</p></details>
"""


def summary(result: Found) -> str:
    """How many were found where and how fast, and what to know before believing them."""
    if not result.hits:
        return markup.note("Nothing in this gallery fits. Try fewer words or cameras.")
    warning = markup.note(result.note, "pw-warn") if result.note else ""
    return (
        f'{warning}<p class="pw-summary" role="status"><b>{markup.count(len(result.hits), "result")}</b> out of '
        f"{markup.count(result.searched, 'picture')} in <b>{esc(result.gallery)}</b> by <b>{esc(result.card.name)}</b>"
        f"<span>{result.ms:.0f} ms</span></p>"
    )


def grid(studio: Studio, result: Found) -> str:
    """The hits as cards to pick from."""
    found = [hit.item for hit in result.hits]
    cards = [
        markup.card(
            i,
            uri,
            [
                f'<b class="pw-rank">{hit.rank}</b><span class="pw-score">{hit.similarity:.3f}</span>',
                f'<span class="pw-name">{esc(hit.item.name)}</span>',
                shelf.labels(hit.item),
                f'<span class="pw-margin">margin {signed(hit.margin)}</span>',
            ],
            f"Result {hit.rank}: {hit.item.name}, similarity {hit.similarity:.3f}",
            pressed=i == 0,
        )
        for i, (hit, uri) in enumerate(zip(result.hits, thumbnails(studio, result.gallery, found), strict=True))
    ]
    return markup.grid(cards, "Results, best first", [(item.width, item.height) for item in found])


def explain(studio: Studio, result: Found, index: int) -> list[Any]:
    """Updates for the detail column, its head and every panel."""
    if not result.hits:
        return hidden()
    comparison = studio.compare(result, index)
    hit = comparison.hit
    head = f'<div class="pw-head"><h2>Why result {hit.rank}?</h2>' + markup.facts(
        [("Similarity", f"{hit.similarity:.3f}"), ("Margin", signed(hit.margin))]
    )
    values = [panel.show(comparison) for panel in PANELS]
    shown = [gr.update(visible=False) if value is None else gr.update(value=value, visible=True) for value in values]
    return [gr.update(visible=True), head + "</div>", *shown]


def hidden() -> list[Any]:
    """The same updates where there is nothing to explain."""
    return [gr.update(visible=False), "", *(gr.update(visible=False) for _ in PANELS)]


def signed(margin: float | None) -> str:
    return "–" if margin is None else f"{margin:+.3f}"
