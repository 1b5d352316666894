"""GPN as a backend: embeds people by parts, parses them and finds their joints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from models.gpn.anatomy import BONES, JOINTS, LABELS, MIRRORED, PARTS
from reid.backends.registry import Card, Parse, Skeleton, register
from reid.backends.retrieval import inference_copy
from reid.backends.shipped import ShippedNetwork
from reid.backends.tensors import to_tensor
from reid.embedding import Embedding, Embeddings, l2_normalise

SIZE = (256, 128)
LARGER = (320, 160)
BATCH = 32
# Label maps are made no finer than this and enlarged by repetition: the network sees 128x64 labels anyway.
MAX_MAP_SIDE = 1024

VIEWS = {"neck": 512, "embedding": 256, "stripes": 4 * 128, "whole": 128}
"""What the network says of a whole person, and how many numbers each is: what identities demanded, what a teacher
taught, what each of four stripes saw, and the global branch after the graph."""

# A picture of fewer pixels than this (height, width) shows no part for certain.
LEGIBLE = (48, 24)
# A person who takes less of the picture than this is hardly there.
LEAST_FIGURE = 0.03
# Where no part of the body is seen better than this, there is no person to speak of.
SEEN = 0.25

HIDDEN = (0.1, 0.8)
"""Less than this share of a picture hides nobody worth the change, and behind more there is nobody left to see."""
# Logit from which somebody is believed to be in the way: on CUHK03's held-out people better than 0, and than -2.
IN_THE_WAY = -1.0

SIDES_SWAPPED = np.arange(len(JOINTS))
"""The joints with left and right exchanged, as a mirror does."""
for _left, _right in MIRRORED:
    SIDES_SWAPPED[[_left, _right]] = _right, _left

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


class GraphPoseNetwork(ShippedNetwork):
    """Base of the sets of weights; a subclass names its hash, and what its global vector is made of.

    `views` are put side by side, each of the length that is said of it; a view of twice the length counts four times in
    a cosine. A part's visibility is what the network makes of it, times how far the picture can be believed: tiny ones,
    ones wider than tall and ones without a figure in their parsing show nothing for certain. `pose` and `parse`, asked
    of one picture at a time, look at its mirror image too, and at both in each of `sizes`, the largest last: two looks
    in different sizes are wrong in different places.
    """

    needs = ("torch", "torch_geometric")
    views: ClassVar[dict[str, float]] = {"neck": 2.0, "embedding": 1.0, "stripes": 1.0}
    sizes: ClassVar[tuple[tuple[int, int], ...]] = (SIZE, LARGER)

    def build(self) -> Any:
        from models.gpn.network import GPN

        return GPN()

    def prepare(self, net: Any) -> Any:
        return inference_copy(net.eval())

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "views": self.views}

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        return self._look(pictures, parse=False)[0]

    def embed_and_parse(self, pictures: Sequence[np.ndarray]) -> tuple[Embeddings, list[Parse]]:
        """`embed` and `parse` of each picture out of one pass through the network."""
        return self._look(pictures, parse=True)

    def parse(self, picture: np.ndarray) -> Parse:
        return _label_map(self._averaged(picture)["parse"][0], picture)

    def reveal(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Whoever hides the person gets the mean colour of all else, so that it is not taken for a part of them."""
        revealed: list[np.ndarray] = []
        for i in range(0, len(pictures), BATCH):
            batch = pictures[i : i + BATCH]
            hiding = self._run(batch)["hiding"]
            revealed += [_revealed(logits, picture) for logits, picture in zip(hiding, batch, strict=True)]
        return revealed

    def pose(self, picture: np.ndarray) -> Skeleton:
        import torch

        from models.gpn.skeleton_net import locate, project

        height, width = picture.shape[:2]
        out = self._averaged(picture, parse=False)
        heat, xyz, seen = (torch.from_numpy(out[key]) for key in ("heat", "xyz", "confidence"))
        weight = seen.sigmoid().clamp(min=1e-6)  # of nobody's joints all may round to nothing
        expected = project(xyz, locate(heat), weight, width / height)
        return Skeleton(
            names=JOINTS,
            xy=locate(heat, expected, width / height)[0].numpy() * np.array([width, height], np.float32),
            confidence=_sigmoid(out["confidence"][0]) * _belief(out["rough"], [picture])[0],
            xyz=out["xyz"][0],
            bones=BONES,
        )

    def note(self, picture: np.ndarray, embedding: Embedding) -> str | None:
        height, width = picture.shape[:2]
        body = embedding.visibility[[i for i, part in enumerate(PARTS) if part != "bag"]]
        if body.max() >= SEEN:
            return None
        if height < LEGIBLE[0] or width < LEGIBLE[1]:
            return f"The picture has only {width} x {height} pixels: too few to tell people apart by."
        if width > height:
            return "No person is seen for certain: the picture is wider than tall. Crop it to one person."
        return "No person is seen here, so whatever is found is found by chance."

    def _look(self, pictures: Sequence[np.ndarray], parse: bool) -> tuple[Embeddings, list[Parse]]:
        assert self.card.dim is not None
        n, p = len(pictures), len(PARTS)
        width = self._net.config.part_dim
        global_, parts = np.zeros((n, self.card.dim), np.float32), np.zeros((n, p, width), np.float32)
        visibility = np.zeros((n, p), np.float32)
        parses: list[Parse] = []
        for i in range(0, n, BATCH):
            batch = pictures[i : i + BATCH]
            out = self._run(batch, parse)
            rows = slice(i, i + BATCH)
            views = [
                length * l2_normalise(l2_normalise(out[view]).reshape(len(batch), -1))
                for view, length in self.views.items()
            ]
            global_[rows] = np.concatenate(views, axis=1)
            parts[rows] = out["parts"]
            visibility[rows] = _sigmoid(out["visible"]) * _belief(out["rough"], batch)[:, None]
            if parse:
                parses += [_label_map(logits, one) for logits, one in zip(out["parse"], batch, strict=True)]
        return Embeddings.of(global_, parts, visibility), parses

    def _averaged(self, picture: np.ndarray, parse: bool = True) -> dict[str, np.ndarray]:
        """What the network sees of the body, averaged over the picture and its mirror image in all sizes: rows of one
        each, maps in the largest size."""
        both = [picture, np.ascontiguousarray(picture[:, ::-1])]
        looks = [self._both_ways(both, parse, size) for size in self.sizes]
        largest = {key: value.shape for key, value in looks[-1].items()}
        return {key: np.mean([[_enlarged(look[key], shape)] for look in looks], 0) for key, shape in largest.items()}

    def _both_ways(self, both: Sequence[np.ndarray], parse: bool, size: tuple[int, int]) -> dict[str, np.ndarray]:
        """The mean of what the network sees in a picture and in its mirror image."""
        out = self._run(both, parse, size)
        mean: dict[str, np.ndarray] = {}
        for key in ("rough", "parse", "heat", "confidence", "xyz"):
            if key not in out:
                continue
            there, mirrored = out[key]
            if key in ("heat", "confidence", "xyz"):
                mirrored = mirrored[SIDES_SWAPPED]
            if mirrored.ndim == 3:
                mirrored = mirrored[..., ::-1]
            elif key == "xyz":
                mirrored = mirrored * np.array([-1, 1, 1], np.float32)
            mean[key] = (there + mirrored) / 2
        return mean

    def _run(
        self, pictures: Sequence[np.ndarray], parse: bool = True, size: tuple[int, int] = SIZE
    ) -> dict[str, np.ndarray]:
        import torch

        with torch.inference_mode():
            out = self._net(to_tensor(pictures, size), parse)
        return {key: value.float().numpy() for key, value in out.items() if isinstance(value, torch.Tensor)}


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-np.clip(logits, -60, 60)))).astype(np.float32)


def _enlarged(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Maps (C, h, w) brought to a shape (C, H, W); what is no map stays as it is."""
    import cv2

    if values.shape == shape:
        return values
    return cv2.resize(values.transpose(1, 2, 0), shape[:0:-1], interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)


def _belief(rough: np.ndarray, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """How far each picture can show a person at all: (N, L, h, w) logits and N pictures -> (N,) float32 in 0..1."""
    figure = (rough.argmax(1) > 0).mean((1, 2)) / LEAST_FIGURE
    sizes = np.array([picture.shape[:2] for picture in pictures], np.float32)
    height, width = sizes.T
    limits = [figure, height / LEGIBLE[0], width / LEGIBLE[1], height / width, np.ones(len(pictures))]
    return np.min(limits, axis=0).astype(np.float32)


def _revealed(hiding: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """(h, w) logits of somebody in the way, and the picture they came from -> the picture without it."""
    import cv2

    seen = cv2.resize(hiding, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR) > IN_THE_WAY
    # Whoever is in the way stands upright: a column that is mostly theirs is theirs, head to foot.
    hidden = np.broadcast_to(seen.mean(0) > 0.5, seen.shape)
    if not HIDDEN[0] <= hidden.mean() <= HIDDEN[1]:
        return picture
    clear = picture.copy()
    clear[hidden] = picture[~hidden].mean(0).round()
    return clear


def _label_map(logits: np.ndarray, picture: np.ndarray) -> Parse:
    """(L, h, w) logits in the pixels of the picture they came from."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(1.0, MAX_MAP_SIDE / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    fine = cv2.resize(logits.transpose(1, 2, 0), size[::-1], interpolation=cv2.INTER_LINEAR)
    labels = fine.argmax(2).astype(np.uint8)
    if size != (height, width):
        rows = np.arange(height) * size[0] // height
        columns = np.arange(width) * size[1] // width
        labels = labels[rows[:, None], columns]
    return Parse(labels, LABELS, PALETTE)


def _card(name: str, summary: str, licence: str, research_only: bool, views: Iterable[str]) -> Card:
    return Card(
        name=name,
        family="graph pose network",
        subject="person",
        does=("embed", "parse", "pose"),
        summary=summary,
        dim=sum(VIEWS[view] for view in views),
        parts=PARTS,
        weights=f"{name}.safetensors",
        licence=licence,
        research_only=research_only,
        paper="Luo et al., Bag of Tricks, CVPRW 2019; Sun et al., Integral Human Pose Regression, ECCV 2018",
        input_size=SIZE,
        preprocessing="resized to 256x128 (area when it shrinks, bilinear when it grows); ImageNet mean and deviation",
    )


class Gpn(GraphPoseNetwork):
    """Trained on real people, with what teachers said of them."""

    card = _card(
        "gpn",
        "Graph pose network: a person as a whole and by parts, out of skeleton, parsing and a two-layer graph.",
        "research only (Market-1501, CUHK03; CamVid CC BY-NC, Caltech-101 CC BY 4.0)",
        True,
        GraphPoseNetwork.views,
    )
    weights_sha256 = "d7cae20aa40b461fc0aea641eb513a7c38b2cf35bc45df858307084876869acd"


class GpnSynthetic(GraphPoseNetwork):
    """Trained on rendered people alone; without a teacher, there is nothing taught to embed by."""

    views: ClassVar[dict[str, float]] = {"neck": 1.0, "stripes": 1.0}
    sizes = (SIZE,)  # a second one costs its joints more than its parsing wins
    card = _card(
        "gpn-synthetic",
        "The graph pose network trained on rendered people alone: nobody's picture was used.",
        "Apache-2.0",
        False,
        views,
    )
    weights_sha256 = "97c5548bdf15cd13b7faaea26f8d7740a90dc1f1de66eb914622aca82576ece9"


for _cls in (Gpn, GpnSynthetic):
    register(_cls.card)(_cls)
