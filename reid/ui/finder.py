"""The finder: a whole frame with numbered boxes; a click on one, or a box drawn by hand, says what to search for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from reid.images import load_image
from reid.studio import Frame, Studio
from reid.ui.markup import attributes, esc, note
from reid.ui.thumbnails import data_uri

Box = tuple[float, float, float, float]

# A press that moves draws a box, one that does not picks what lies under it; fractions of the picture are sent.
_CHOOSE = """
let from = null, rubber = null, drawn = false;
const frame = () => element.querySelector('[data-frame]');
const at = (event) => {
  const r = frame().getBoundingClientRect(), f = (v) => Math.min(Math.max(v, 0), 1);
  return [f((event.clientX - r.left) / r.width), f((event.clientY - r.top) / r.height)];
};
const box = (to) => [0, 1].map((i) => Math.min(from[i], to[i])).concat([0, 1].map((i) => Math.max(from[i], to[i])));
const press = (picked) => {
  for (const other of element.querySelectorAll('[data-pick]')) other.setAttribute('aria-pressed', other === picked);
};
element.addEventListener('pointerdown', (event) => {
  drawn = false;
  if (!event.target.closest('[data-frame]') || event.button) return;
  from = at(event);
});
window.addEventListener('pointermove', (event) => {
  if (!from || !frame()) return;
  const [x0, y0, x1, y1] = box(at(event));
  if (!rubber && Math.max(x1 - x0, y1 - y0) < 0.015) return;
  if (!rubber) {
    element.querySelector('.pw-rubber')?.remove();
    rubber = Object.assign(document.createElement('span'), {className: 'pw-rubber'});
    frame().append(rubber);
  }
  Object.assign(rubber.style, {left: x0 * 100 + '%', top: y0 * 100 + '%', width: (x1 - x0) * 100 + '%',
    height: (y1 - y0) * 100 + '%'});
});
window.addEventListener('pointerup', (event) => {
  if (from && rubber && frame()) {
    drawn = true;
    press(null);
    trigger('select', {box: box(at(event))});
  }
  from = rubber = null;
});
element.addEventListener('click', (event) => {
  const picked = event.target.closest('[data-pick]');
  if (!picked || (drawn && event.detail)) return;
  element.querySelector('.pw-rubber')?.remove();
  press(picked);
  trigger('select', {index: Number(picked.dataset.pick)});
});
"""


def panel() -> gr.HTML:
    """The component; it stays empty where there is nothing to choose. `.select` gets an index or a drawn box."""
    return gr.HTML("", js_on_load=_CHOOSE, apply_default_css=False, elem_id="pw-finder")


def look(studio: Studio, path: Path | None) -> tuple[Frame | None, str]:
    """What is in a query picture, and the panel's markup: empty for a crop, and where no finder is ready."""
    frame = studio.look(path) if path else None
    if frame is None or not frame.needs_choice or path is None:
        return None, ""
    return frame, markup(frame, data_uri(load_image(path, name=path.name), 1280))


def markup(frame: Frame, source: str) -> str:
    """The frame with its boxes; folded where it has none, since most such pictures are meant as a whole."""
    width, height = frame.size
    buttons = []
    rows = zip(frame.boxes, frame.labels, frame.scores, strict=True)
    # Large ones first, so that small ones before them can be clicked.
    order = sorted(enumerate(rows), key=lambda row: -_area(row[1][0]))
    for i, ((x0, y0, x1, y1), label, score) in order:
        sides = (100 * x0 / width, 100 * y0 / height, 100 * (x1 - x0) / width, 100 * (y1 - y0) / height)
        place = "left:{:.2f}%;top:{:.2f}%;width:{:.2f}%;height:{:.2f}%".format(*sides)
        says = f"{label} {i + 1}, score {score:.2f}"
        about = attributes(data_pick=i, aria_pressed="false", aria_label=says, title=says, style=place)
        inside = ' class="pw-inside"' if y0 < 0.06 * height else ""  # above the frame's edge a number would be cut off
        buttons.append(f'<button type="button"{about}><b{inside}>{i + 1}</b></button>')
    picture = f'<div data-frame><img src="{esc(source)}" alt="" draggable="false">{"".join(buttons)}</div>'
    about = attributes(class_="pw-finder", style=f"--aspect:{width / height:.4f}")
    if not frame.boxes:
        return f'<details{about}><summary class="pw-note">{esc(frame.note)}</summary>{picture}</details>'
    return f"<div{about}>{picture}{note(frame.note)}</div>"


def chosen(event: gr.EventData, frame: Frame | None) -> Box | None:
    """The box that was clicked or drawn, in pixels of the query picture."""
    if frame is None:
        return None
    told: dict[str, Any] = event._data or {}
    if "box" in told:
        width, height = frame.size
        x0, y0, x1, y1 = (float(v) for v in told["box"])
        return x0 * width, y0 * height, x1 * width, y1 * height
    return frame.boxes[int(told["index"])]


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
