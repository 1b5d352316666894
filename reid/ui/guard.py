"""Errors that a user can cause become sentences on the page; all others stay errors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from reid.errors import PartwiseError

F = TypeVar("F", bound=Callable[..., Any])


def guarded(handler: F) -> F:
    """Show a `PartwiseError` of an event handler as a notice that says what and why, and leave the page as it was."""

    @functools.wraps(handler)
    def wrapped(*values: Any) -> Any:
        try:
            return handler(*values)
        except PartwiseError as error:
            raise gr.Error(str(error), duration=12, print_exception=False) from error

    return wrapped  # type: ignore[return-value]
