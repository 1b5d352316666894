"""A query picture that reaches the program as the file it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from gradio.processing_utils import save_file_to_cache


def raw_image(**settings: Any) -> gr.Image:
    """A `gr.Image` whose value is a path.

    Gradio's own would decode the file before the program sees it, with its own limits and its own errors; so every
    picture is checked in one place. A path that is set from the program is copied to where the page may read it.
    """
    image = gr.Image(**settings)

    def preprocess(payload: ImageData | None) -> Path | None:
        return Path(payload.path) if payload and payload.path else None

    def postprocess(value: Path | None) -> ImageData | None:
        if value is None:
            return None
        return ImageData(path=save_file_to_cache(value, image.GRADIO_CACHE), orig_name=value.name)

    # On the object, since Gradio writes a .pyi file into the source tree for every subclass of a component.
    image.preprocess, image.postprocess = preprocess, postprocess  # type: ignore[assignment, method-assign]
    return image
