"""Query and result side by side; where the backend has keypoints, those that agree on one geometry are joined."""

from __future__ import annotations

import gradio as gr
import numpy as np

from reid.backends.keypoints import Matches
from reid.galleries import Item
from reid.studio import Comparison
from reid.ui.markup import count, esc, text
from reid.ui.thumbnails import data_uri

_HEIGHT = 420  # CSS pixels that the pictures take at most
# More lines than this hide the pictures; the strongest impression comes from an even choice among all.
_LINES = 60


class Pair:
    def build(self, place: str = "pw") -> gr.HTML:
        return text(elem_id=f"{place}-pair", elem_classes="pw-pair")

    def show(self, comparison: Comparison) -> str:
        drawing = side_by_side(comparison.query, comparison.picture, comparison.matches)
        left, right = (p.shape[1] / p.shape[0] for p in (comparison.query, comparison.picture))
        size = f"width: min(100%, {_HEIGHT * (left + right):.0f}px)"
        columns = f"grid-template-columns: {left:.3f}fr {right:.3f}fr"
        item, rank = comparison.hit.item, comparison.hit.rank
        said = "" if comparison.matches is None else f'<p class="pw-matches">{_agreement(comparison.matches)}</p>'
        return (
            f'<div style="{size}">{drawing}<div class="pw-captions" style="{columns}"><p><b>Query</b></p>'
            f"<p><b>Result {rank}</b> {_about(item)}</p></div>{said}</div>"
        )


def side_by_side(query: np.ndarray, picture: np.ndarray, matches: Matches | None = None) -> str:
    """An SVG drawing of two pictures (H, W, 3) at one height, with lines between matching points."""
    height, gap = 600.0, 18.0
    sizes = [(p.shape[1] / p.shape[0] * height, height / p.shape[0]) for p in (query, picture)]
    left, right = sizes[0][0], sizes[1][0]
    width = left + gap + right
    images = "".join(
        f'<image href="{data_uri(p)}" x="{x:.1f}" y="0" width="{w:.1f}" height="{height:.0f}"/>'
        for p, x, w in ((query, 0.0, left), (picture, left + gap, right))
    )
    lines = ""
    if matches is not None and matches.inliers:
        chosen = np.linspace(0, matches.inliers - 1, min(_LINES, matches.inliers)).round().astype(int)
        ends = np.hstack(
            [matches.query_xy[chosen] * sizes[0][1], matches.item_xy[chosen] * sizes[1][1] + (left + gap, 0)]
        )
        # A hue by height in the query: lines that run together are seen to, and one that crosses stands out.
        lines = "".join(
            f'<g style="--pw-hue: {b / height * 320:.0f}"><line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}"/>'
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="5"/><circle cx="{c:.1f}" cy="{d:.1f}" r="5"/></g>'
            for a, b, c, d in ends
        )
    label = "query and result side by side" + (f", {_agreement(matches)}" if matches is not None else "")
    return (
        f'<svg viewBox="-4 -4 {width + 8:.1f} {height + 8:.0f}" role="img" aria-label="{esc(label)}">'
        f'{images}<g class="pw-lines">{lines}</g></svg>'
    )


def _agreement(matches: Matches) -> str:
    if not matches.inliers:
        return "No keypoints of the two agree on one geometry."
    return f"{count(matches.inliers, 'keypoint agrees', 'keypoints agree')} on one geometry."


def _about(item: Item) -> str:
    known = (f"identity {item.identity}" if item.identity else "", f"camera {item.camera}" if item.camera else "")
    return " · ".join(esc(x) for x in (item.name, *known) if x)
