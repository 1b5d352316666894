"""Where a region was found: its whole picture or frame, with its box drawn in."""

from __future__ import annotations

import gradio as gr
import numpy as np

from reid.galleries import Item
from reid.studio import Comparison
from reid.ui.markup import esc, text
from reid.ui.thumbnails import data_uri

_SIDE = 900  # pixels of the longer side, as it is sent


class Whereabouts:
    def build(self, place: str = "pw") -> gr.HTML:
        return text(elem_id=f"{place}-whereabouts", elem_classes="pw-whereabouts")

    def show(self, comparison: Comparison) -> str | None:
        if comparison.whole is None or comparison.hit.item.box is None:
            return None
        item = comparison.hit.item
        return f"<h3>Where it was found</h3>{_drawing(comparison.whole, item)}<p>{esc(found_at(item))}</p>"


def found_at(item: Item) -> str:
    """File, and of footage the time and frame, as one reads them: "square.avi, 1:04 (frame 640)"."""
    if item.frame is None:
        return item.path.name
    minutes, seconds = divmod(int(item.time or 0), 60)
    return f"{item.path.name}, {minutes}:{seconds:02d} (frame {item.frame})"


def _drawing(whole: np.ndarray, item: Item) -> str:
    """An SVG of the whole with its box: lines keep their width, however large the picture."""
    assert item.box is not None
    height, width = whole.shape[:2]
    x0, y0, x1, y1 = item.box
    box = f'x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}"'
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{esc(f"box in {found_at(item)}")}">'
        f'<image href="{data_uri(whole, _SIDE)}" width="{width}" height="{height}"/>'
        f'<rect class="pw-halo" {box}/><rect {box}/></svg>'
    )
