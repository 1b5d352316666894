"""Finders: average precision on unseen rendered streets and on footage, recall on CamVid's people, and time a frame.

PARTWISE_STREETS names a folder of rendered streets, PARTWISE_CAMVID one of CamVid, PARTWISE_VTEST Debian's vtest.avi
(package opencv-doc); what is not named is passed over. PARTWISE_RIVAL names weights that the recipe faster-rcnn left:
torchvision's Faster R-CNN is then measured beside the finders, its norms folded as theirs are.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from safetensors.torch import load_file

from reid import backends
from reid.backends import Backend, Boxes
from reid.backends.registry import Card
from reid.backends.rfcn import find
from reid.backends.tensors import inference_copy
from reid.datasets.camvid_objects import camvid_objects
from reid.datasets.coco import AnnotatedFrame, read_coco
from reid.finding.figures import average_precision, recall
from reid.video import load_frame

# Proposals by motion and by a teacher, each accepted or refused by eye on an enlarged frame; who is hardly seen behind
# a sign or behind others is doubtful.
BOXES = Path(__file__).parent / "data" / "vtest.json"
TALL, FEW = 40, 15  # CamVid's people in pixels; boxes a frame


def main() -> None:
    print("| finder | frames | measured |")
    print("| --- | --- | --- |")
    for finder in finders():
        streets, camvid, footage = (os.environ.get(f"PARTWISE_{name}") for name in ("STREETS", "CAMVID", "VTEST"))
        if streets:
            measure_streets(finder, read_coco(streets)[:200])
        if camvid:
            measure_camvid(finder, camvid_objects(camvid, "test"))
        if footage:
            measure_footage(finder, Path(footage))
        measure_time(finder)


def finders() -> Iterator[Backend]:
    """Those of the registry, and the rival where its weights are named; PARTWISE_BACKENDS, if set, names which."""
    wanted = os.environ.get("PARTWISE_BACKENDS", "")
    for card in backends.cards():
        if "find" in card.does and (not wanted or card.name in wanted.split(",")):
            yield backends.get(card.name)
    if rival := os.environ.get("PARTWISE_RIVAL"):
        yield Rival(Path(rival))


class Rival(Backend):
    """torchvision's Faster R-CNN on MobileNetV3, trained as `rfcn` was."""

    card = Card("faster-rcnn", "region network", "any", ("find",), "The rival.")

    def __init__(self, weights: Path) -> None:
        self.weights = weights
        self.load()

    def load(self) -> None:
        from reid.training.faster_rcnn import FasterRCNN

        net = FasterRCNN()
        net.load_state_dict(load_file(self.weights))
        self._net = inference_copy(net.eval())

    def find(self, picture: np.ndarray) -> Boxes:
        return find(self._net, picture)


def measure_streets(finder: Backend, frames: Sequence[AnnotatedFrame]) -> None:
    figures = average_precision(finder.find, frames)
    told = ", ".join(f"{key.removesuffix('_AP50')} {value:.1f}" for key, value in figures.items())
    _row(finder, f"{len(frames)} rendered streets", f"AP50: {told}")


def measure_camvid(finder: Backend, frames: Sequence[AnnotatedFrame]) -> None:
    share, people = recall(finder.find, frames, "person", taller=TALL, most=FEW)
    what = f"CamVid's test split, {people} people taller than {TALL} pixels"
    _row(finder, what, f"{share:.1f} % found by {FEW} boxes a frame")


def measure_footage(finder: Backend, path: Path) -> None:
    frames = []
    for number, seen in json.loads(BOXES.read_text()).items():
        rows = [(box, "person", kind == "doubtful") for kind, boxes in seen.items() for box in boxes]
        frames.append(AnnotatedFrame.made(path, number, rows))
    figures = average_precision(finder.find, frames, load=lambda frame: load_frame(path, int(frame.name)))
    people = sum(len(frame.of("person")) for frame in frames)
    what = f"vtest.avi, {len(frames)} frames, {people} people accepted by eye"
    _row(finder, what, f"AP50: person {figures['person_AP50']:.1f}")


def measure_time(finder: Backend, rounds: int = 15) -> None:
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(0, 256, (36, 48, 3), dtype=np.uint8), (768, 576), interpolation=cv2.INTER_CUBIC)
    finder.find(frame)
    spent = []
    for _ in range(rounds if finder.card.name != "rcnn" else 3):
        started = time.perf_counter()
        finder.find(frame)
        spent.append(time.perf_counter() - started)
    _row(finder, "768x576", f"{1000 * statistics.median(spent):.0f} ms (fastest {1000 * min(spent):.0f})")


def _row(finder: Backend, what: str, measured: str) -> None:
    print(f"| `{finder.card.name}` | {what} | {measured} |", flush=True)


if __name__ == "__main__":
    main()
