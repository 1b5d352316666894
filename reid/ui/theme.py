"""The look: a light table. Neutral surfaces leave colour to the pictures; a grease-pencil red marks what is picked."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLESHEET = Path(__file__).with_name("style.css")

PENCIL = gr.themes.Color(
    name="pencil",
    c50="#fdf3ef",
    c100="#fbe3da",
    c200="#f6c5b4",
    c300="#f09f85",
    c400="#f27e5b",
    c500="#dd5230",
    c600="#c03e1e",
    c700="#9f3117",
    c800="#812a17",
    c900="#6b2718",
    c950="#3a1109",
)
TABLE = gr.themes.Color(
    name="table",
    c50="#f6f6f4",
    c100="#ecece9",
    c200="#dddcd8",
    c300="#c3c2bd",
    c400="#94948f",
    c500="#6b6c6a",
    c600="#50524f",
    c700="#393b3b",
    c800="#26282a",
    c900="#1a1c1e",
    c950="#111214",
)


def theme() -> gr.themes.Base:
    """The theme for `launch`; its fonts come with Gradio, so that no page ever asks another host for one.

    Weights are 400 and 700: the files in between hold a part of the alphabet only.
    """
    sans = (gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif")
    mono = (gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace")
    return gr.themes.Base(
        primary_hue=PENCIL,
        secondary_hue=TABLE,
        neutral_hue=TABLE,
        font=sans,
        font_mono=mono,
        radius_size=gr.themes.sizes.radius_sm,
        text_size=gr.themes.sizes.text_md,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="white",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_800",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_700",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_border_width="1px",
        block_shadow="none",
        block_label_background_fill="*neutral_100",
        block_label_background_fill_dark="*neutral_800",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
        block_title_text_size="*text_sm",
        block_info_text_size="*text_xs",
        input_background_fill="*neutral_50",
        input_background_fill_dark="*neutral_950",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_400",
        input_shadow="none",
        input_shadow_focus="0 0 0 2px *primary_200",
        input_shadow_focus_dark="0 0 0 2px *primary_800",
        button_primary_background_fill="*neutral_900",
        button_primary_background_fill_hover="*primary_600",
        button_primary_background_fill_dark="*neutral_100",
        button_primary_background_fill_hover_dark="*primary_400",
        button_primary_text_color="white",
        button_primary_text_color_dark="*neutral_950",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_border_width="1px",
        button_cancel_background_fill="white",
        button_cancel_background_fill_dark="*neutral_900",
        button_cancel_background_fill_hover="*primary_50",
        button_cancel_background_fill_hover_dark="*primary_950",
        button_cancel_border_color="*primary_600",
        button_cancel_border_color_dark="*primary_400",
        button_cancel_text_color="*primary_700",
        button_cancel_text_color_dark="*primary_300",
        slider_color="*neutral_800",
        slider_color_dark="*neutral_200",
        loader_color="*primary_600",
        checkbox_background_color_selected="*neutral_900",
        checkbox_background_color_selected_dark="*primary_500",
        checkbox_border_color_selected="*neutral_900",
        checkbox_border_color_selected_dark="*primary_500",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )
