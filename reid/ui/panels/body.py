"""What the backend sees of the two: the skeleton and the parsing laid over query and result."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import gradio as gr
import numpy as np

from reid.backends import Parse
from reid.explain.parses import overlay
from reid.explain.scaling import to_height
from reid.explain.skeletons import CERTAIN, HEIGHT, draw_skeleton
from reid.studio import Body, Comparison
from reid.ui.markup import esc, text
from reid.ui.thumbnails import data_uri


class BodyPanel:
    def build(self, place: str = "pw") -> gr.HTML:
        return text(elem_id=f"{place}-body", elem_classes="pw-body")

    def show(self, comparison: Comparison) -> str | None:
        sides = [("Query", comparison.query, comparison.query_body)]
        sides.append((f"Result {comparison.hit.rank}", comparison.picture, comparison.body))
        figures = [f for name, picture, body in sides if body is not None for f in _figures(name, picture, body)]
        if not figures:
            return None
        parses = [body.parse for _, _, body in sides if body is not None and body.parse is not None]
        return f'<h3>What it sees</h3><div class="pw-figures">{"".join(figures)}</div>{_legend(parses)}'


def _figures(name: str, picture: np.ndarray, body: Body) -> list[str]:
    figures = []
    if body.skeleton is not None:
        count = int((body.skeleton.confidence >= CERTAIN).sum())
        said = f"{count} of {len(body.skeleton.names)} joints"
        figures.append(_figure(draw_skeleton(picture, body.skeleton), name, said))
    if body.parse is not None:
        large = to_height(picture, HEIGHT)
        labels = cv2.resize(body.parse.labels, large.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        drawn = overlay(large, Parse(labels, body.parse.names, body.parse.palette))
        figures.append(_figure(drawn, name, _said(body.parse)))
    return figures


def _said(parse: Parse) -> str:
    if not parse.has_background:
        count = len(np.unique(parse.labels))
        return f"{count} of {len(parse.names)} classes"
    share = float(parse.figure.mean())
    return f"{100 * share:.0f} % parsed" if share else "nobody seen"


def _figure(drawn: np.ndarray, name: str, said: str) -> str:
    return (
        f'<figure><img src="{data_uri(drawn, HEIGHT)}" alt="{esc(f"{name}: {said}")}">'
        f"<figcaption><b>{esc(name)}</b> {esc(said)}</figcaption></figure>"
    )


def _legend(parses: Iterable[Parse]) -> str:
    """The labels that occur, each with its colour."""
    shown: dict[str, str] = {}
    for parse in parses:
        for label in np.unique(parse.labels[parse.figure]):
            shown[parse.names[label]] = "rgb({}, {}, {})".format(*parse.palette[label])
    chips = "".join(f'<span><i style="background: {colour}"></i>{esc(name)}</span>' for name, colour in shown.items())
    return f'<p class="pw-legend">{chips}</p>' if chips else ""
