"""People and streets drawn with ground truth. Drawing needs the packages anny and numba; reading truth does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reid.rendering.truth import JOINTS, LABELS, Truth, iter_truth, load_mask, load_truth, read_truth

if TYPE_CHECKING:
    from reid.rendering.render import TEST_IDENTITIES, TEST_SEED, TEST_VIEWS, render_people
    from reid.rendering.streets import render_streets

__all__ = [
    "JOINTS",
    "LABELS",
    "TEST_IDENTITIES",
    "TEST_SEED",
    "TEST_VIEWS",
    "Truth",
    "iter_truth",
    "load_mask",
    "load_truth",
    "read_truth",
    "render_people",
    "render_streets",
]
_DRAWING = {
    "render_people": "render",
    "TEST_SEED": "render",
    "TEST_IDENTITIES": "render",
    "TEST_VIEWS": "render",
    "render_streets": "streets",
}


def __getattr__(name: str) -> Any:
    """Load what draws on first use: the app imports this package and needs no compiler."""
    if name not in _DRAWING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    from reid.errors import PartwiseError

    try:
        module = importlib.import_module(f"reid.rendering.{_DRAWING[name]}")
    except ModuleNotFoundError as error:
        raise PartwiseError(
            f"Rendering needs the package {error.name}; install it with `pip install anny==0.6.2 numba`."
        ) from error
    return getattr(module, name)
