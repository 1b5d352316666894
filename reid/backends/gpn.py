"""GPN as a backend: embeds people by parts, parses them and finds their joints."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from models.gpn.anatomy import BONES, JOINTS, LABELS, PARTS
from reid.backends.registry import Backend, Parse, Skeleton
from reid.backends.retrieval import describe
from reid.backends.tensors import to_tensor
from reid.backends.weights import load_weights
from reid.embedding import Embeddings

SIZE = (256, 128)
BATCH = 32
# Label maps are made no finer than this and enlarged by repetition: the network sees 128x64 labels anyway.
MAX_MAP_SIDE = 1024

PALETTE = np.array(
    [
        (0, 0, 0),
        (94, 60, 30),
        (255, 190, 150),
        (230, 150, 120),
        (220, 50, 47),
        (38, 100, 200),
        (255, 215, 90),
        (130, 200, 90),
        (150, 70, 190),
        (240, 130, 30),
        (90, 220, 220),
    ],
    np.uint8,
)
"""A colour a label, in the order of `LABELS`."""


class GraphPoseNetwork(Backend):
    """Base of the two sets of weights; a subclass names its file and hash."""

    weights_file: ClassVar[str]
    weights_sha256: ClassVar[str]
    _lock = threading.Lock()

    def load(self) -> None:
        if hasattr(self, "_net"):
            return
        state = load_weights(self.weights_file, self.weights_sha256)
        import torch

        from models.gpn.network import GPN

        net = GPN()
        net.load_state_dict(state)
        self._net = net.eval().to(memory_format=torch.channels_last)

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "weights": self.weights_sha256}

    def _run(self, pictures: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        import torch

        with torch.inference_mode():
            out = self._net(to_tensor(pictures, SIZE))
        return {key: value.float().numpy() for key, value in out.items() if isinstance(value, torch.Tensor)}

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        assert self.card.dim is not None
        n, p = len(pictures), len(PARTS)
        width = self._net.config.part_dim
        global_, parts = np.zeros((n, self.card.dim), np.float32), np.zeros((n, p, width), np.float32)
        visibility = np.zeros((n, p), np.float32)
        for i in range(0, n, BATCH):
            out = self._run(pictures[i : i + BATCH])
            rows = slice(i, i + BATCH)
            global_[rows] = describe(out["neck"], out["embedding"], out["stripes"])
            parts[rows] = out["parts"]
            visibility[rows] = 1 / (1 + np.exp(-out["visible"]))
        return Embeddings.of(global_, parts, visibility)

    def parse(self, picture: np.ndarray) -> Parse:
        import cv2

        height, width = picture.shape[:2]
        scale = min(1.0, MAX_MAP_SIDE / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        logits = self._run([picture])["parse"][0].transpose(1, 2, 0)  # (128, 64, L)
        labels = cv2.resize(logits, size[::-1], interpolation=cv2.INTER_LINEAR).argmax(2).astype(np.uint8)
        if size != (height, width):
            rows = np.arange(height) * size[0] // height
            columns = np.arange(width) * size[1] // width
            labels = labels[rows[:, None], columns]
        return Parse(labels, LABELS, PALETTE)

    def pose(self, picture: np.ndarray) -> Skeleton:
        height, width = picture.shape[:2]
        out = self._run([picture])
        return Skeleton(
            names=JOINTS,
            xy=out["xy"][0] * np.array([width, height], np.float32),
            confidence=1 / (1 + np.exp(-out["confidence"][0])),
            xyz=out["xyz"][0],
            bones=BONES,
        )
