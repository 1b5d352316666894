"""What teachers say of people, kept in a file so that training asks them once.

    python -m reid.training.teachers embeddings FOLDER --model person-reidentification-retail-0277.xml --out FILE.npz
    python -m reid.training.teachers blends FOLDER --model person-reidentification-retail-0277.xml --out FILE.npz
    python -m reid.training.teachers poses FOLDER --model pose_landmark_full.tflite --out FILE.npz

Teachers are public networks that no part of this project ships: a person re-identification network in OpenVINO's format
(BGR, 0..255), and BlazePose's landmark model in TensorFlow Lite's. They need `pip install openvino ai-edge-litert`.
What the files hold is told in docs/training.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from reid.datasets.folders import walk
from reid.embedding import l2_normalise
from reid.errors import DatasetError
from reid.images import load_image
from reid.training.blends import blend, draw

PERSON = (256, 128)
"""Height and width that the re-identification network takes."""

SQUARE = 256
"""Side of what BlazePose takes."""

ROOM = 1.2
"""A crop's height is this part of the square around it: BlazePose expects air around a person."""

MASK = (64, 32)
"""Height and width that silhouettes are kept at."""

LANDMARKS = 33

Run = Callable[[np.ndarray], np.ndarray]
"""(N, 3, 256, 128) float32, BGR 0..255 -> (N, D)."""

See = Callable[[np.ndarray], tuple[np.ndarray, float, np.ndarray, np.ndarray]]
"""(1, 256, 256, 3) float32, RGB 0..1 -> landmarks 39 x 5, confidence 0..1, mask logits (256, 256), metres 39 x 3."""


def embeddings(pictures: Iterable[np.ndarray], run: Run, batch: int = 32) -> np.ndarray:
    """(N, D) float32, L2-normalised: what the teacher makes of each picture and of its mirror image, averaged."""
    rows: list[np.ndarray] = []
    waiting: list[np.ndarray] = []

    def flush() -> None:
        upright = np.stack(waiting)
        n = len(upright)
        # The model is compiled for one size of batch: the last one is filled up.
        full = np.concatenate([upright, np.zeros((batch - n, *upright.shape[1:]), np.float32)])
        both = [l2_normalise(run(np.ascontiguousarray(x))[:n]) for x in (full, full[..., ::-1])]
        rows.append(l2_normalise(both[0] + both[1]).astype(np.float32))
        waiting.clear()

    for picture in pictures:
        resized = cv2.resize(picture, PERSON[::-1], interpolation=cv2.INTER_LINEAR)
        waiting.append(resized[..., ::-1].transpose(2, 0, 1).astype(np.float32))
        if len(waiting) == batch:
            flush()
    if waiting:
        flush()
    return np.concatenate(rows)


def pose(picture: np.ndarray, see: See) -> dict[str, np.ndarray]:
    """One person's body as `sources.with_teachers` reads it.

    Returns:
        joints (33, 4): x and y as fractions of the picture, visibility and presence in 0..1; world (33, 3) metres;
        confidence (); masks (64, 32) uint8, 255 where the person is.
    """
    height, width = picture.shape[:2]
    scale = SQUARE / (height * ROOM)
    into = np.array([[scale, 0, (SQUARE - scale * width) / 2], [0, scale, (SQUARE - scale * height) / 2]])
    square = cv2.warpAffine(picture, into, (SQUARE, SQUARE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    landmarks, confidence, logits, metres = see(square[None].astype(np.float32) / 255)
    marks = landmarks.reshape(-1, 5)[:LANDMARKS]
    place = (marks[:, :2] - into[:, 2]) / scale / np.array([width, height])
    back = cv2.warpAffine(logits, into, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    mask = cv2.resize(_sigmoid(back), MASK[::-1], interpolation=cv2.INTER_AREA)
    return {
        "joints": np.concatenate([place, _sigmoid(marks[:, 3:5])], 1).astype(np.float32),
        "world": metres.reshape(-1, 3)[:LANDMARKS].astype(np.float32),
        "confidence": np.array(confidence, np.float32),
        "masks": (255 * mask).round().astype(np.uint8),
    }


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def openvino_network(path: Path, batch: int = 32) -> Run:
    """A re-identification network in OpenVINO's format, compiled for batches of one size."""
    import openvino

    core = openvino.Core()
    model = core.read_model(str(path))
    model.reshape([batch, 3, *PERSON])
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    return lambda x: np.array(next(iter(compiled([x]).values()))).reshape(batch, -1)


def blazepose(path: Path) -> See:
    """BlazePose's landmark model."""
    from ai_edge_litert.interpreter import Interpreter

    model: Any = Interpreter(str(path), num_threads=1)
    model.allocate_tensors()
    entry = model.get_input_details()[0]["index"]
    exits = [detail["index"] for detail in model.get_output_details()]

    def see(square: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
        model.set_tensor(entry, square)
        model.invoke()
        landmarks, confidence, mask, _, metres = (model.get_tensor(index) for index in exits)
        return landmarks, float(confidence.ravel()[0]), mask[0, ..., 0], metres

    return see


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reid.training.teachers", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("embeddings", "blends", "poses"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--count", type=int, default=20_000, help="how many blends")
    options = parser.parse_args()
    files = [path for _, path in walk(options.folder)]
    if not files:
        raise DatasetError(f"{options.folder} has no picture; name a folder of crops.")
    names = np.array([path.name for path in files])
    pictures = (load_image(path) for path in tqdm(files, file=sys.stderr))
    if options.what == "embeddings":
        np.savez(options.out, names=names, vectors=embeddings(pictures, openvino_network(options.model)))
        return
    if options.what == "blends":
        pairs, shares, cuts = draw(len(files), options.count, np.random.default_rng(1))

        def picture(i: int) -> np.ndarray:
            return cv2.resize(load_image(files[i]), PERSON[::-1])

        blended = (
            blend(picture(first), picture(second), share, float(cut))
            for (first, second), share, cut in zip(tqdm(pairs, file=sys.stderr), shares, cuts, strict=True)
        )
        vectors = embeddings(blended, openvino_network(options.model))
        np.savez(options.out, names=names, pairs=pairs, shares=shares, cuts=cuts, vectors=vectors)
        return
    see = blazepose(options.model)
    bodies = [pose(picture, see) for picture in pictures]
    columns: dict[str, Any] = {key: np.stack([body[key] for body in bodies]) for key in bodies[0]}
    np.savez_compressed(options.out, names=names, **columns)


if __name__ == "__main__":
    main()
