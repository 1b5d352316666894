"""Who asks and who answers when a data set is used to evaluate."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reid.datasets.folders import OnSkip, detect_layout, read_folder
from reid.datasets.sample import JUNK, Sample
from reid.errors import DatasetError, UnknownNameError

PROTOCOLS: tuple[str, ...] = ("market1501", "cuhk03", "rendered", "folders", "corel")


@dataclass(frozen=True)
class Protocol:
    """One evaluation.

    Attributes:
        query: those who ask.
        gallery: those who answer, junk left out.
        kind: "cross-camera": a match has the same identity and another camera, and what has the same identity and
            camera is left out (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015);
            "relevance": all ask all others (`query` is `gallery`), and a match has the same class.
    """

    query: list[Sample]
    gallery: list[Sample]
    kind: Literal["cross-camera", "relevance"]


def read_protocol(root: str | os.PathLike[str], layout: str = "auto", on_skip: OnSkip | None = None) -> Protocol:
    """Read a data set for evaluation.

    Args:
        root: its folder.
        layout: one of `PROTOCOLS`, or "auto".
            market1501: query/ asks bounding_box_test/.
            cuhk03: every picture of camera A asks all of camera B.
            rendered: of each identity and camera the first picture by name asks, all others answer.
            folders, corel: every picture asks all others; the class is what is relevant.
        on_skip: called with each file that is left out and why.

    Raises:
        DatasetError: the folder does not hold what the layout promises.
        UnknownNameError: no such layout.
    """
    root = Path(root)
    if layout == "auto":
        layout = detect_layout(root)
        if layout not in PROTOCOLS:
            raise DatasetError(f"{root} does not say which of its pictures belong together; name a layout: {_known()}.")
    if layout not in PROTOCOLS:
        raise UnknownNameError(f"There is no evaluation for the layout {layout!r}; there is one for {_known()}.")
    if layout == "market1501":
        lacking = [folder for folder in ("query", "bounding_box_test") if not (root / folder).is_dir()]
        if lacking:
            raise DatasetError(f"{root} is not laid out as Market-1501: it has no {' and no '.join(lacking)}.")
        query, gallery = (
            _cast(read_folder(root / folder, layout, recursive=False, on_skip=on_skip), on_skip)
            for folder in ("query", "bounding_box_test")
        )
        return _checked(root, layout, Protocol(query, gallery, "cross-camera"))
    if layout == "cuhk03":
        samples = _cast(_cuhk03(root, on_skip), on_skip)
        query = [s for s in samples if s.camera == "A"]
        return _checked(root, layout, Protocol(query, [s for s in samples if s.camera == "B"], "cross-camera"))
    if layout == "rendered":
        samples = _cast(read_folder(root, layout, on_skip=on_skip), on_skip)
        first = {(s.identity, s.camera): s for s in reversed(samples)}
        query = [s for s in samples if first[s.identity, s.camera] is s]
        gallery = [s for s in samples if first[s.identity, s.camera] is not s]
        return _checked(root, layout, Protocol(query, gallery, "cross-camera"))
    samples = _cast(read_folder(root, layout, on_skip=on_skip), on_skip, needs_camera=False)
    return _checked(root, layout, Protocol(samples, samples, "relevance"))


def _cuhk03(root: Path, on_skip: OnSkip | None) -> Iterable[Sample]:
    """Pictures anywhere under `root`; where it has Market-1501's folders, these share their identities."""
    halves = [root / "query", root / "bounding_box_test"]
    if all(half.is_dir() for half in halves):
        return [s for half in halves for s in read_folder(half, "cuhk03", recursive=False, on_skip=on_skip)]
    return read_folder(root, "cuhk03", on_skip=on_skip)


def _cast(samples: Iterable[Sample], on_skip: OnSkip | None, needs_camera: bool = True) -> list[Sample]:
    """Those who can take part: junk goes, and so does what has no identity (or camera), named."""
    cast = []
    for s in samples:
        if s.identity is None or (needs_camera and s.camera is None):
            if on_skip:
                on_skip(s.path, "its name says no identity" + (" and camera" if needs_camera else ""))
        elif s.identity != JUNK:
            cast.append(s)
    return cast


def _checked(root: Path, layout: str, protocol: Protocol) -> Protocol:
    for role, samples in (("query", protocol.query), ("gallery", protocol.gallery)):
        if not samples:
            raise DatasetError(f"{root} holds no {role} picture for the layout {layout}.")
    return protocol


def _known() -> str:
    return ", ".join(PROTOCOLS)
