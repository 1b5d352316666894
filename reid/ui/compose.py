"""Compose: parts of several pictures in; who has them all out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from reid.errors import PartwiseError
from reid.studio import Found, Studio
from reid.ui import markup, results, shelf
from reid.ui.guard import guarded
from reid.ui.markup import picker
from reid.ui.panels import PANELS
from reid.ui.raw_image import raw_image

TITLE = "Compose"

SLOTS = 3

_INVITATION = """
<div class="pw-empty"><h2>Put a person together</h2>
<p>Take the upper body of one picture and the legs and shoes of another: choose pictures, tick what each of them stands
for, and see who comes nearest. Parts that are not ticked do not count.</p></div>
"""
_SHOW_DETAIL = (
    "() => document.getElementById('pw-compose-detail')?.scrollIntoView({behavior: 'smooth', block: 'nearest'})"
)


def build(studio: Studio, page: gr.Blocks, tab: gr.Tab, chosen: gr.State) -> None:
    found = gr.State(None, time_to_live=3600)
    with gr.Row(elem_classes="pw-columns"):
        with gr.Column(scale=0, min_width=340, elem_classes="pw-side"):
            gallery = gr.Dropdown([], label="Gallery", filterable=False, elem_id="pw-compose-gallery")
            backend = gr.Dropdown([], label="Backend", filterable=False, elem_id="pw-compose-backend")
            examples = picker(elem_id="pw-compose-examples")
            pictures, ticked = [], []
            for n in range(1, SLOTS + 1):
                with gr.Row(elem_classes="pw-slot"):
                    pictures.append(
                        raw_image(
                            label=f"Picture {n}",
                            sources=["upload", "clipboard"],
                            height=180,
                            buttons=[],
                            scale=2,
                            min_width=120,
                            elem_id=f"pw-compose-picture-{n}",
                        )
                    )
                    ticked.append(
                        gr.CheckboxGroup(
                            [], label=f"Like picture {n}", scale=3, min_width=180, elem_id=f"pw-compose-parts-{n}"
                        )
                    )
            go = gr.Button("Find", variant="primary", elem_id="pw-compose-go")
        with gr.Column(scale=1, min_width=320, elem_id="pw-compose-results"):
            status = markup.text(_INVITATION, elem_id="pw-compose-status")
            with gr.Column(visible=False, elem_id="pw-compose-detail", elem_classes="pw-detail") as detail:
                head = markup.text()
                with gr.Row(elem_classes="pw-panels"):
                    panels = [panel.build("pw-compose") for panel in PANELS]
            grid = picker(elem_id="pw-compose-grid")

    shown = gr.State("")  # the parts that can be ticked now
    offered = [gallery, backend, examples, shown, *ticked]
    explained = [detail, head, *panels]

    @guarded
    def offer(gallery_name: str | None, backend_name: str | None, shown: str, request: gr.Request) -> tuple:
        """What can be chosen now: the galleries, and the backends that know parts.

        The ticks are left alone while the parts stay the same: one may have been made since this was asked.
        """
        mine = studio.of(request.session_hash)
        names = [info.name for info in mine.galleries() if not info.problem]
        if gallery_name not in names:
            gallery_name = names[0] if names else None
        cards = {card.name: card for card in mine.embedders() if card.parts}
        if backend_name not in cards:
            preferred = mine.preferred(gallery_name)
            backend_name = preferred if preferred in cards else next(iter(cards), None)
        parts = cards[backend_name].parts if backend_name else ()
        return (
            gr.Dropdown(names, value=gallery_name),
            gr.Dropdown(list(cards), value=backend_name),
            shelf.examples(mine, gallery_name, "Take these, or pictures of your own"),
            ",".join(parts),
            *(
                gr.skip()
                if ",".join(parts) == shown
                else gr.CheckboxGroup([(part.capitalize(), part) for part in parts], value=[])
                for _ in range(SLOTS)
            ),
        )

    @guarded
    def choose(event: gr.EventData, request: gr.Request, gallery_name: str, *paths: Any) -> list[Any]:
        """An example goes to the first free place, or to the last one.

        The others are given again as they are: an update would make them anew, as plain images.
        """
        path = studio.of(request.session_hash).examples(gallery_name)[event.index].path
        place = next((n for n, there in enumerate(paths) if there is None), SLOTS - 1)
        return [path if n == place else there for n, there in enumerate(paths)]

    @guarded
    def run(request: gr.Request, gallery_name: str | None, backend_name: str | None, *values: Any) -> list[Any]:
        mine = studio.of(request.session_hash)
        likes = list(zip(values[SLOTS:], values[:SLOTS], strict=True))
        for n, (parts, path) in enumerate(likes, 1):
            if parts and path is None:
                raise PartwiseError(f"{', '.join(parts)} shall be like picture {n}, which is not there: choose it.")
        asked: list[tuple[list[str], Path]] = [(parts, path) for parts, path in likes if parts]
        result = mine.compose(asked, gallery_name, backend_name, top=12)
        return [result, results.summary(result), results.grid(mine, result), *results.explain(mine, result, 0)]

    @guarded
    def explain(event: gr.EventData, result: Found | None, request: gr.Request) -> list[Any]:
        return results.explain(studio.of(request.session_hash), result, event.index) if result else results.hidden()

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    tab.select(offer, [chosen, backend, shown], offered, **quiet)
    gr.on([gallery.input, backend.input], offer, [gallery, backend, shown], offered, **quiet)
    examples.select(choose, [gallery, *pictures], pictures, **quiet)
    go.click(run, [gallery, backend, *pictures, *ticked], [found, status, grid, *explained], show_progress_on=status)
    grid.select(explain, found, explained, **quiet).then(None, js=_SHOW_DETAIL)
