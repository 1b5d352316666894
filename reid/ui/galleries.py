"""Galleries: make one from files or a zip, look into it, put its pictures in words, rename, export or delete it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from reid.studio import Studio
from reid.ui import markup, shelf, tuning
from reid.ui.guard import guarded
from reid.ui.markup import picker

TITLE = "Galleries"
PAGE = 48

_LAYOUTS = [
    ("Detect", "auto"),
    ("All in one folder", "flat"),
    ("A folder an identity", "folders"),
    ("Names as in Market-1501", "market1501"),
    ("Names as in CUHK03", "cuhk03"),
]
# The picture looked at stands above the others, which on a phone is out of sight.
_SHOW_ITEM = "() => document.getElementById('pw-item')?.scrollIntoView({behavior: 'smooth', block: 'nearest'})"
_DOWNLOAD = "() => document.querySelector('#pw-download')?.click()"


def build(studio: Studio, page: gr.Blocks, tab: gr.Tab, chosen: gr.State) -> None:
    first, picked = gr.State(0), gr.State(None)  # the first item that is shown, the id of the one looked at
    with gr.Row(elem_classes="pw-columns"):
        with gr.Column(scale=0, min_width=340, elem_classes="pw-side"):
            listed = picker(elem_id="pw-galleries")
            with gr.Accordion("New gallery", open=True, elem_id="pw-new"):
                name = gr.Textbox("", label="Name", placeholder="such as: front door", elem_id="pw-new-name")
                files = gr.File(label="Pictures or zips", file_count="multiple", height=140, elem_id="pw-new-files")
                layout = gr.Dropdown(_LAYOUTS, value="auto", label="How a zip is laid out", filterable=False)
                backend = gr.Dropdown([], label="Index with", filterable=False, elem_id="pw-new-backend")
                create = gr.Button("Create gallery", variant="primary", elem_id="pw-create")
        with gr.Column(scale=1, min_width=320):
            report = markup.text(elem_id="pw-report")
            about = markup.text(elem_id="pw-gallery-about")
            with gr.Row(visible=False, elem_classes="pw-actions") as tools:
                words = gr.Textbox(
                    "",
                    label="Filter by words",
                    show_label=False,
                    container=False,
                    placeholder="Filter by words",
                    scale=2,
                    elem_id="pw-filter",
                )
                more = gr.UploadButton("Add pictures", file_count="multiple", size="sm", scale=0, min_width=120)
                export = gr.Button("Export zip", size="sm", scale=0, min_width=110, elem_id="pw-export")
                rename = gr.Button("Rename", size="sm", scale=0, min_width=90, elem_id="pw-rename")
                delete = gr.Button("Delete", size="sm", variant="stop", scale=0, min_width=90, elem_id="pw-delete")
            download = gr.DownloadButton("Download", visible="hidden", elem_id="pw-download")
            with gr.Row(visible=False, elem_classes="pw-confirm") as renaming:
                new_name = gr.Textbox(
                    "",
                    label="New name",
                    elem_id="pw-new-title",
                    show_label=False,
                    container=False,
                    placeholder="New name",
                    scale=2,
                )
                rename_now = gr.Button(
                    "Rename", size="sm", variant="primary", scale=0, min_width=110, elem_id="pw-rename-now"
                )
            with gr.Row(visible=False, elem_classes="pw-confirm") as deleting:
                question = markup.text()
                keep = gr.Button("Keep it", size="sm", scale=0, min_width=110)
                delete_now = gr.Button("Delete for good", size="sm", variant="stop", scale=0, min_width=140)
            with gr.Row(visible=False, elem_classes="pw-item", elem_id="pw-item") as item_view:
                item_about = markup.text()
                with gr.Column(min_width=260) as item_tools:
                    item_words = gr.Textbox(
                        label="Your words", lines=2, max_lines=4, placeholder="What the picture shows"
                    )
                    with gr.Row():
                        item_save = gr.Button("Save words", size="sm", variant="primary", min_width=110)
                        item_remove = gr.Button("Remove picture", size="sm", variant="stop", min_width=110)
            tuning.build(studio, chosen)
            items = picker(elem_id="pw-items")
            with gr.Row(visible=False, elem_classes="pw-pager") as pager:
                back = gr.Button("Back", size="sm", scale=0, min_width=90)
                onward = gr.Button("Next", size="sm", scale=0, min_width=90)

    here = [chosen, first, words]
    seen = [chosen, first, picked, listed, about, tools, more, rename, delete, renaming, deleting, question]
    seen += [item_view, item_about, item_words, item_tools, items, pager, back, onward]

    def view(mine: Studio, name: str | None, start: int = 0, terms: str = "", item_id: int | None = None) -> dict:
        """Everything in `seen`, for one gallery, one page of it and one of its pictures."""
        infos = mine.galleries()
        info = next((i for i in infos if i.name == name), None)
        shut = gr.update(visible=False)
        base = {renaming: shut, deleting: shut, listed: shelf.galleries(mine, infos, name), chosen: name}
        if info is None:
            nothing = {chosen: None, picked: None, about: shelf.NOTHING, items: ""}
            return base | nothing | {tools: shut, item_view: shut, pager: shut}
        asked = f"<p>Delete <b>{markup.esc(info.name)}</b> and its {markup.count(info.items, 'picture')}?</p>"
        if info.problem:  # all that can be done with it is to throw it away
            alone = {tools: shut, item_view: shut, pager: shut, deleting: gr.update(visible=True)}
            return base | alone | {picked: None, about: shelf.damaged(info), items: "", question: asked}
        own = not mine.is_shipped(info.name)
        shown, total = mine.browse(info.name, words=terms, start=start, count=PAGE)
        item = mine.item(info.name, item_id) if item_id is not None else None
        return base | {
            first: start,
            picked: item_id,
            about: shelf.about(info, own),
            tools: gr.update(visible=True),
            **{control: gr.update(visible=own) for control in (more, rename, delete, item_tools)},
            question: asked,
            item_view: gr.update(visible=item is not None),
            item_about: shelf.item(mine, info.name, item) if item else "",
            item_words: mine.words(info.name, item.id).get("user", "") if item else "",
            items: shelf.items(mine, info.name, shown, item_id, start, total, terms),
            pager: gr.update(visible=total > PAGE),
            back: gr.update(interactive=start > 0),
            onward: gr.update(interactive=start + PAGE < total),
        }

    @guarded
    def refresh(name: str | None, start: int, terms: str, request: gr.Request) -> dict:
        mine = studio.of(request.session_hash)
        known = [info.name for info in mine.galleries()]
        name = name if name in known else next(iter(known), None)
        cards = [card.name for card in mine.embedders()]
        return view(mine, name, start, terms) | {backend: gr.Dropdown(cards, value=mine.preferred(None))}

    @guarded
    def pick_gallery(event: gr.EventData, request: gr.Request) -> dict:
        mine = studio.of(request.session_hash)
        return view(mine, mine.galleries()[event.index].name) | {words: "", report: ""}

    @guarded
    def pick_item(event: gr.EventData, name: str, start: int, terms: str, request: gr.Request) -> dict:
        return view(studio.of(request.session_hash), name, start, terms, event.index)

    @guarded
    def make(
        name_: str,
        uploads: list[str] | None,
        layout_: str,
        backend_: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by this default)
    ) -> dict:
        mine = studio.of(request.session_hash)
        paths = [Path(upload) for upload in uploads or []]
        added = mine.create(name_, paths, layout=layout_, backend=backend_, progress=_told(progress))
        return view(mine, added.gallery) | {name: "", files: None, words: "", report: shelf.report(added)}

    @guarded
    def add(
        name: str,
        uploads: list[str] | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict:
        mine = studio.of(request.session_hash)
        added = mine.add(name, [Path(upload) for upload in uploads or []], progress=_told(progress))
        return view(mine, name) | {words: "", report: shelf.report(added)}

    def turn(pages: int) -> Callable[..., dict]:
        @guarded
        def turned(name: str, start: int, terms: str, request: gr.Request) -> dict:
            return view(studio.of(request.session_hash), name, max(0, start + pages * PAGE) if pages else 0, terms)

        return turned

    @guarded
    def rename_it(name: str, new: str, request: gr.Request) -> dict:
        mine = studio.of(request.session_hash)
        kept = mine.rename(name, new)
        return view(mine, kept) | {new_name: "", report: markup.note(f"{name} is now called {kept}.")}

    @guarded
    def delete_it(name: str, request: gr.Request) -> dict:
        mine = studio.of(request.session_hash)
        mine.remove(name)
        left = next((info.name for info in mine.galleries()), None)
        return view(mine, left) | {words: "", report: markup.note(f"{name} is deleted.")}

    @guarded
    def write_zip(name: str, request: gr.Request) -> str:
        return str(studio.of(request.session_hash).export(name))

    @guarded
    def save(name: str, item_id: int, text: str, start: int, terms: str, request: gr.Request) -> dict:
        mine = studio.of(request.session_hash)
        mine.set_words(name, item_id, text)
        return view(mine, name, start, terms, item_id) | {report: markup.note("The words are saved.")}

    @guarded
    def remove_item(name: str, item_id: int, start: int, terms: str, request: gr.Request) -> dict:
        mine = studio.of(request.session_hash)
        removed = mine.remove_item(name, item_id)
        return view(mine, name, start, terms) | {report: markup.note(f"{removed} is out of the gallery.")}

    quiet: dict[str, Any] = {"show_progress": "hidden"}

    def shows(visible: bool) -> Callable[[], Any]:
        return lambda: gr.update(visible=visible)

    gr.on([page.load, tab.select], refresh, here, [*seen, backend], **quiet)
    listed.select(pick_gallery, None, [*seen, words, report], **quiet)
    items.select(pick_item, here, seen, **quiet).then(None, js=_SHOW_ITEM)
    create.click(make, [name, files, layout, backend], [*seen, name, files, words, report], show_progress_on=report)
    more.upload(add, [chosen, more], [*seen, words, report], show_progress_on=report)
    words.submit(turn(0), here, seen, **quiet)
    back.click(turn(-1), here, seen, **quiet)
    onward.click(turn(+1), here, seen, **quiet)
    export.click(write_zip, chosen, download, show_progress_on=report).then(None, js=_DOWNLOAD)
    rename.click(shows(True), None, renaming, **quiet)
    gr.on([rename_now.click, new_name.submit], rename_it, [chosen, new_name], [*seen, new_name, report])
    delete.click(shows(True), None, deleting, **quiet)
    keep.click(shows(False), None, deleting, **quiet)
    delete_now.click(delete_it, chosen, [*seen, words, report], **quiet)
    gr.on([item_save.click], save, [chosen, picked, item_words, first, words], [*seen, report])
    item_remove.click(remove_item, [chosen, picked, first, words], [*seen, report], **quiet)


def _told(progress: gr.Progress) -> Callable[[float, str], None]:
    return lambda share, what: progress(share, desc=what)
