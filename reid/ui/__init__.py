"""The interface: one page of tabs, a file a tab. It talks to `Studio`, never to a network or an index.

A new tab is a file with `TITLE` and `build(studio, page, tab, chosen)`, and its name in `TABS`; `chosen` holds the name
of the gallery that the visitor works with, on whichever tab it was picked.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Nothing is reported to anybody, and no visit is recorded. Gradio reads these when it is imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_RUN_HISTORY", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr

from reid.studio import Limits, Studio
from reid.ui import compose, galleries, search
from reid.ui.frame import FAVICON, FOOTER, HEADER
from reid.ui.markup import text
from reid.ui.theme import STYLESHEET, theme

TABS = (search, compose, galleries)


def build(studio: Studio) -> gr.Blocks:
    """The page for one studio."""
    with gr.Blocks(title="Partwise", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)) as page:
        text(HEADER)
        chosen = gr.State(None)
        with gr.Tabs(elem_id="pw-tabs"):
            for entry in TABS:
                with gr.Tab(entry.TITLE, id=entry.TITLE.lower()) as tab:
                    entry.build(studio, page, tab, chosen)
        text(FOOTER)

        def leave(request: gr.Request) -> None:
            studio.leave(request.session_hash)

        page.unload(leave)
    return page


def launch(host: str | None = None, port: int | None = None, *, open_browser: bool = False) -> None:
    """Serve the app until it is stopped.

    On a Hugging Face Space it listens on the container's own address, gives every visitor galleries of their own, and
    keeps these only as long as the visit, unless `$PARTWISE_DATA` names a folder. Elsewhere it listens on loopback.

    Args:
        host: address to listen on.
        port: port to listen on; by default the first free one from 7860.
        open_browser: open the page in the user's browser.
    """
    on_space = "SPACE_ID" in os.environ
    limits = Limits(upload_files=500, private=True) if on_space else Limits()
    scratch = on_space and "PARTWISE_DATA" not in os.environ
    studio = Studio(Path(tempfile.mkdtemp(prefix="partwise-")) if scratch else None, limits=limits)
    # Four at a time, so that one visitor's indexing does not hold up the searches of the others.
    page = build(studio).queue(default_concurrency_limit=4)
    page.launch(
        server_name=host or ("0.0.0.0" if on_space else "127.0.0.1"),
        server_port=port,
        inbrowser=open_browser,
        max_file_size="1gb",
        footer_links=[],
        favicon_path=FAVICON,
        theme=theme(),
        css_paths=[STYLESHEET],
        prevent_thread_lock=True,
    )
    studio.start()  # now that the page answers, so that loading networks does not hold it up
    page.block_thread()
