"""Search: a query picture, a gallery and a backend in; ranked results and what speaks for each out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from reid.studio import Found, Frame, Studio
from reid.ui import finder, markup, results, shelf
from reid.ui.guard import guarded
from reid.ui.markup import esc, picker
from reid.ui.panels import PANELS
from reid.ui.raw_image import raw_image
from reid.ui.weights import PartSliders, collect

TITLE = "Search"

# On a phone the results lie a screen below the query.
_SHOW_RESULTS = """() => {
  if (window.innerWidth < 800) document.getElementById('pw-results')?.scrollIntoView({behavior: 'smooth'});
}"""
_SHOW_DETAIL = "() => document.getElementById('pw-detail')?.scrollIntoView({behavior: 'smooth', block: 'nearest'})"

_INVITATION = """
<div class="pw-empty"><h2>Start with a picture</h2>
<p>Drop, paste or take one, or click one of the examples: the gallery is ranked by how much each of its pictures is like
yours.</p></div>
"""
_ELSEWHERE = "Leave out the query's own camera"
_RERANKS = {"none": "As found", "parts": "By visible parts", "geometry": "By matching keypoints"}


def build(studio: Studio, page: gr.Blocks, tab: gr.Tab, chosen: gr.State) -> None:
    found = gr.State(None, time_to_live=3600)
    with gr.Row(elem_classes="pw-columns"):
        with gr.Column(scale=0, min_width=340, elem_classes="pw-side"):
            query = raw_image(
                label="Query picture",
                sources=["upload", "clipboard", "webcam"],
                height=250,
                buttons=[],
                elem_id="pw-query",
            )
            frame, box = gr.State(None, time_to_live=3600), gr.State(None)
            examples = picker(elem_id="pw-examples")
            gallery = gr.Dropdown([], label="Gallery", filterable=False, elem_id="pw-gallery")
            backend = gr.Dropdown([], label="Backend", filterable=False, elem_id="pw-backend")
            card = markup.text(elem_id="pw-card")
            with gr.Accordion("Options", open=False, elem_id="pw-options"):
                free = gr.Checkbox(label="Only backends free of research-only terms", elem_id="pw-free")
                top = gr.Slider(1, studio.limits.top, value=12, step=1, label="Results", elem_id="pw-top")
                words = gr.Textbox("", label="Words", placeholder="such as: red cup", elem_id="pw-words")
                cameras = gr.Dropdown([], label="Only from cameras", multiselect=True, elem_id="pw-cameras")
                elsewhere = gr.Checkbox(label=_ELSEWHERE, visible=False, elem_id="pw-elsewhere")
                rerank = gr.Radio([], label="Order of the best", elem_id="pw-rerank")
            parts = PartSliders()
            go = gr.Button("Search", variant="primary", elem_id="pw-go")
        with gr.Column(scale=1, min_width=320, elem_id="pw-results"):
            boxes = finder.panel()  # in the wide column: people far away are hard to hit as it is
            status = markup.text(_INVITATION, elem_id="pw-status")
            with gr.Column(visible=False, elem_id="pw-detail", elem_classes="pw-detail") as detail:
                head = markup.text()
                with gr.Row(elem_classes="pw-panels"):
                    panels = [panel.build() for panel in PANELS]
            grid = picker(elem_id="pw-grid")
            markup.text(results.HOW_TO_READ)

    offered = [chosen, gallery, backend, card, examples, cameras, rerank, *parts.offered]
    settings = [query, gallery, backend, top, words, cameras, elsewhere, rerank, parts.weights, box]
    explained = [detail, head, *panels]
    answered = [found, status, grid, *explained]

    @guarded
    def offer(gallery_name: str | None, backend_name: str | None, only_free: bool, request: gr.Request) -> tuple:
        """What can be chosen now; a choice that still exists is kept."""
        mine = studio.of(request.session_hash)
        names = [info.name for info in mine.galleries() if not info.problem]
        if gallery_name not in names:
            gallery_name = names[0] if names else None
        cards = {c.name: c for c in mine.embedders(only_free=only_free)}
        if backend_name not in cards:
            backend_name = mine.preferred(gallery_name, only_free=only_free)
        card_ = cards.get(backend_name or "")
        ways = mine.reranks(card_)
        return (
            gallery_name,
            gr.Dropdown(names, value=gallery_name),
            gr.Dropdown(list(cards), value=backend_name),
            _card(card_),
            shelf.examples(mine, gallery_name, "Or try one of these"),
            gr.Dropdown(mine.cameras(gallery_name), value=[]),
            gr.Radio([(_RERANKS[way], way) for way in ways], value=ways[0], visible=len(ways) > 1),
            *parts.offer(card_),
        )

    @guarded
    def turn_to(gallery_name: str | None, backend_name: str | None, only_free: bool, request: gr.Request) -> tuple:
        """Another gallery, which brings its backend unless it knows the one that is chosen."""
        mine = studio.of(request.session_hash)
        known = gallery_name in [info.name for info in mine.galleries() if not info.problem]
        keep = known and backend_name and mine.is_indexed(str(gallery_name), backend_name)
        return offer(gallery_name, backend_name if keep else None, only_free, request)

    @guarded
    def choose(event: gr.EventData, gallery_name: str, request: gr.Request) -> Path:
        return studio.of(request.session_hash).examples(gallery_name)[event.index].path

    @guarded
    def know(path: Path | None, gallery_name: str | None, request: gr.Request) -> Any:
        """Offer to leave out the query's own camera where it is known."""
        camera = studio.of(request.session_hash).camera_of(path, gallery_name) if path else None
        return gr.update(visible=camera is not None, label=f"{_ELSEWHERE}, {camera}" if camera else _ELSEWHERE)

    @guarded
    def run(
        path: Path | None,
        gallery_name: str | None,
        backend_name: str | None,
        top: float,
        words: str | None,
        cameras: list[str] | None,
        elsewhere: bool,
        rerank: str | None,
        weights: dict[str, float] | None,
        region: finder.Box | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by this default)
    ) -> list[Any]:
        if path is None:
            return [None, _INVITATION, "", *results.hidden()]
        mine = studio.of(request.session_hash)
        result = mine.search(
            path,
            gallery_name,
            backend_name,
            top=int(top),
            words=words or "",
            cameras=cameras or [],
            exclude_camera=mine.camera_of(path, gallery_name) if elsewhere else None,
            rerank=rerank or "none",
            part_weights=weights,
            box=region,
            progress=lambda share, what: progress(share, desc=what),
        )
        return [result, results.summary(result), results.grid(mine, result), *results.explain(mine, result, 0)]

    @guarded
    def look(path: Path | None, request: gr.Request) -> tuple:
        """Offer what a whole frame shows; what was chosen of the picture before is chosen no more."""
        return *finder.look(studio.of(request.session_hash), path), None

    def pick(event: gr.EventData, seen: Frame | None) -> finder.Box | None:
        return finder.chosen(event, seen)

    @guarded
    def explain(event: gr.EventData, result: Found | None, request: gr.Request) -> list[Any]:
        return results.explain(studio.of(request.session_hash), result, event.index) if result else results.hidden()

    def weigh(backend_name: str | None, *values: float) -> dict[str, float] | None:
        return collect(next((c for c in studio.embedders() if c.name == backend_name), None), values)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    gr.on([page.load, tab.select], turn_to, [chosen, backend, free], offered, **quiet)
    gallery.input(turn_to, [gallery, backend, free], offered, **quiet)
    gr.on([backend.input, free.input], offer, [gallery, backend, free], offered, **quiet)
    examples.select(choose, gallery, query, **quiet)
    gr.on([query.change, gallery.change], know, [query, gallery], elsewhere, **quiet)
    # Uploaded, pasted, taken, chosen or cleared: of these, `change` alone sees all.
    seen = query.change(look, query, [frame, boxes, box], **quiet)
    picked = boxes.select(pick, frame, box, **quiet)
    for event in (seen, picked):
        event.then(run, settings, answered, show_progress_on=status).then(None, js=_SHOW_RESULTS)
    asked = [go.click, words.submit, top.release, cameras.input, elsewhere.input, rerank.input]
    gr.on(asked, run, settings, answered, show_progress_on=status).then(None, js=_SHOW_RESULTS)
    weighed = gr.on(parts.released, weigh, [backend, *parts.sliders], parts.weights, **quiet)
    weighed.then(run, settings, answered, show_progress_on=status)
    grid.select(explain, found, explained, **quiet).then(None, js=_SHOW_DETAIL)


def _card(card: Any) -> str:
    if card is None:
        return markup.note("No backend is left with these terms.")
    terms = markup.chip(card.licence, "pw-warn" if card.research_only else "")
    parts = markup.chip(markup.count(len(card.parts), "part")) if card.parts else ""
    size = markup.chip(f"{card.dim:,} numbers")
    return f'<div class="pw-about"><p>{esc(card.summary)}</p><p>{terms}{size}{parts}</p></div>'
