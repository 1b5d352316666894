"""Small pieces of HTML that several tabs show. All text from outside goes through `esc`; nothing else builds markup."""

from __future__ import annotations

import html
import statistics
from collections.abc import Iterable
from typing import Any

import gradio as gr

# One listener on the component's root serves whatever is drawn inside it later; arrow keys walk from card to card.
_PICK = """
element.addEventListener('click', (event) => {
  const picked = event.target.closest('[data-pick]');
  if (!picked) return;
  for (const other of element.querySelectorAll('[data-pick]')) other.setAttribute('aria-pressed', other === picked);
  trigger('select', {index: Number(picked.dataset.pick)});
});
element.addEventListener('keydown', (event) => {
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  const here = event.target.closest('[data-pick]');
  if (!step || !here) return;
  const all = [...element.querySelectorAll('[data-pick]')];
  const next = all[all.indexOf(here) + step];
  if (next) { event.preventDefault(); next.focus(); }
});
"""


def picker(value: str = "", **settings: Any) -> gr.HTML:
    """Markup whose `[data-pick]` elements can be clicked: `.select` gets a `gr.EventData` with `.index`."""
    return gr.HTML(value, js_on_load=_PICK, apply_default_css=False, **settings)


def text(value: str = "", **settings: Any) -> gr.HTML:
    """A plain piece of markup without listeners."""
    return gr.HTML(value, js_on_load=None, apply_default_css=False, **settings)


def esc(value: object) -> str:
    """Text made safe for HTML, attributes included."""
    return html.escape(str(value), quote=True)


def attributes(**values: object) -> str:
    """`key="value"` pairs; `_` becomes `-`, None and False are left out, True gives the bare name."""
    pairs = []
    for key, value in values.items():
        name = key.rstrip("_").replace("_", "-")
        if value is True:
            pairs.append(name)
        elif value is not None and value is not False:
            pairs.append(f'{name}="{esc(value)}"')
    return (" " + " ".join(pairs)) if pairs else ""


def card(
    index: int, source: str, lines: Iterable[str], label: str, *, pressed: bool | None = None, kind: str = ""
) -> str:
    """A picture to click; `lines` are markup already, `label` is what a screen reader says."""
    state = None if pressed is None else str(pressed).lower()
    caption = "".join(f'<span class="pw-line">{line}</span>' for line in lines)
    return (
        f'<button type="button" class="pw-card {esc(kind)}"'
        f"{attributes(data_pick=index, aria_pressed=state, aria_label=label)}>"
        f'<span class="pw-frame"><img src="{esc(source)}" alt="" loading="lazy"></span>{caption}</button>'
    )


def grid(cards: Iterable[str], label: str, shapes: Iterable[tuple[int, int]]) -> str:
    """Cards in rows; their frames have the middle shape of `shapes` (width, height), neither too tall nor too wide."""
    aspect = middle_aspect(shapes)
    width = 148 if aspect > 0.75 else 112  # CSS pixels a card has at least
    style = f'style="--pw-aspect: {aspect:.2f}; --pw-width: {width}px"'
    return f'<div class="pw-grid" role="group" aria-label="{esc(label)}" {style}>{"".join(cards)}</div>'


def middle_aspect(shapes: Iterable[tuple[int, int]]) -> float:
    """The median width by height of `shapes` (width, height), kept between 0.5 and 1.4; 1 where there are none."""
    ratios = [width / height for width, height in shapes]
    return min(max(statistics.median(ratios), 0.5), 1.4) if ratios else 1.0


def chip(value: str, kind: str = "", title: str | None = None) -> str:
    """A small label; `title` says what it means."""
    return f'<span class="pw-chip {esc(kind)}"{attributes(title=title)}>{esc(value)}</span>'


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """A row of named figures."""
    cells = "".join(f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="pw-facts">{cells}</dl>'


def note(message: str, kind: str = "") -> str:
    """A quiet line to the user; `message` is plain text."""
    return f'<p class="pw-note {esc(kind)}" role="status">{esc(message)}</p>'


def count(number: int, one: str, many: str | None = None) -> str:
    """`3 pictures`, `1 picture`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
