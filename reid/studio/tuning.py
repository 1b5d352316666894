"""Fine-tuning on a gallery from the app: which networks can be the start, and the work itself."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from reid import backends
from reid.backends import Card
from reid.errors import GalleryError, PartwiseError
from reid.studio.records import Progress

if TYPE_CHECKING:
    from reid.studio.studio import Studio
    from reid.training.finetune import Tuned

# Training takes all the machine has: one at a time.
_busy = threading.Lock()


def starts() -> list[Card]:
    """The networks that are ready to be fine-tuned."""
    return [
        card
        for card in backends.cards()
        if card.family == "retrieval network" and backends.create(card.name).why_not_ready() is None
    ]


def can_learn(studio: Studio, gallery: str | None) -> bool:
    """Whether a gallery has classes to learn, and this app trains at all: one that strangers share does not."""
    if studio.limits.private or not gallery:
        return False
    try:
        return studio._open(gallery).info().identities > 1
    except PartwiseError:
        return False


def finetune(
    studio: Studio, gallery: str, start: str, tag: str, *, epochs: int | None = None, progress: Progress | None = None
) -> Tuned:
    """Fine-tune a network on a gallery's pictures; what comes of it is a backend from then on.

    Args:
        gallery: its pictures need identities (classes), two pictures or more each.
        start: the network to begin with.
        tag: what to call it: `ARCHITECTURE.TAG`.
        epochs: how long; by default as `reid.training.finetune.DEFAULTS`.
        progress: called with the share done, 0..1, and what is being done.

    Raises:
        PartwiseError: another network is being trained, the app is shared, or as `finetune` says.
    """
    from dataclasses import replace

    from reid.training.finetune import DEFAULTS
    from reid.training.finetune import finetune as tune

    if studio.limits.private:
        raise PartwiseError("This app is shared, so it trains nothing; run your own copy of it to fine-tune.")
    if not gallery:
        raise GalleryError("There is no gallery to learn from; make one first.")
    if not _busy.acquire(blocking=False):
        raise PartwiseError("A network is being fine-tuned already; wait until it is done.")
    try:
        opened = studio._open(gallery)
        options = DEFAULTS if epochs is None else replace(DEFAULTS, epochs=epochs)
        return tune(start, tag.strip().lower(), opened.items(), options, load=opened.picture, progress=progress)
    finally:
        _busy.release()
