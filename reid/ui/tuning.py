"""Fine-tune on a gallery: a fold in the Galleries tab."""

from __future__ import annotations

from typing import Any

import gradio as gr

from reid.studio import Studio, tuning
from reid.ui import markup
from reid.ui.guard import guarded

HOW = (
    "<p>A network learns to tell this gallery's identities (classes) apart. A part of the pictures is held out and "
    "ranked before and after. The network stays on this machine, among the backends.</p>"
)


def build(studio: Studio, chosen: gr.State) -> None:
    """The fold; it shows for galleries that can be learnt from."""
    with gr.Accordion("Fine-tune a network on this gallery", open=False, visible=False, elem_id="pw-tune") as fold:
        markup.text(HOW)
        with gr.Row():
            start = gr.Dropdown([], label="Begin with", filterable=False, elem_id="pw-tune-start")
            tag = gr.Textbox("", label="Name", placeholder="such as: flowers", max_lines=1, elem_id="pw-tune-name")
            epochs = gr.Slider(2, 40, value=12, step=1, label="Epochs")
        go = gr.Button("Fine-tune", variant="primary", elem_id="pw-tune-go")
        outcome = markup.text(elem_id="pw-tune-outcome")

    @guarded
    def show(name: str | None, request: gr.Request) -> list[Any]:
        mine = studio.of(request.session_hash)
        if not tuning.can_learn(mine, name):
            return [gr.update(visible=False), gr.update(), ""]
        names = [card.name for card in tuning.starts()]
        return [gr.update(visible=bool(names)), gr.Dropdown(names, value=names[0] if names else None), ""]

    @guarded
    def run(
        name: str,
        begin: str,
        called: str,
        count: int,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by this default)
    ) -> str:
        tuned = tuning.finetune(
            studio.of(request.session_hash),
            name,
            begin,
            called,
            epochs=int(count),
            progress=lambda share, what: progress(share, desc=what),
        )
        said = (
            f"{tuned.name} is ready: mAP of the {markup.count(tuned.held_out, 'held-out picture')} "
            f"{tuned.before:.1f} before, {tuned.after:.1f} after. It is among the backends now."
        )
        return markup.note(" ".join([said, *tuned.notes]))

    chosen.change(show, chosen, [fold, start, outcome], show_progress="hidden")
    go.click(run, [chosen, start, tag, epochs], outcome, show_progress_on=outcome)
