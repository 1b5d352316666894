"""The skeletons of query and result in space, to be turned by hand."""

from __future__ import annotations

from typing import Any

import gradio as gr

from reid.explain.skeletons import CERTAIN, in_space
from reid.studio import Body, Comparison

# A skeleton of fewer certain joints is a guess, not a pose.
_LEAST_JOINTS = 4


class Space:
    def build(self, place: str = "pw") -> gr.Plot:
        return gr.Plot(
            label="In space: drag to turn", show_label=True, elem_id=f"{place}-space", elem_classes="pw-space"
        )

    def show(self, comparison: Comparison) -> Any | None:
        people = {"Query": comparison.query_body, f"Result {comparison.hit.rank}": comparison.body}
        skeletons = {name: body.skeleton for name, body in people.items() if body is not None and _stands(body)}
        return in_space(skeletons) if skeletons else None  # type: ignore[arg-type]


def _stands(body: Body) -> bool:
    return body.skeleton is not None and int((body.skeleton.confidence >= CERTAIN).sum()) >= _LEAST_JOINTS
