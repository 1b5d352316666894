"""Retrieval networks: a trunk fine-tuned by softmax, pooled to one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from reid.backends.registry import Backend, Card, register
from reid.backends.tensors import to_tensor
from reid.backends.weights import load_weights
from reid.embedding import Embeddings, l2_normalise

BATCH = 32


class PersonTrunk(Backend):
    """FEA NET alone: the trunk that the graph pose network stands on, with its global feature and stripes.

    A subclass names its weights. The vector is what identities demanded (the neck), what a teacher taught, and what
    each of four stripes saw, each of unit length before they are put side by side.
    """

    weights_sha256: ClassVar[str]

    def load(self) -> None:
        if hasattr(self, "_net"):
            return
        assert self.card.weights is not None
        state = load_weights(self.card.weights, self.weights_sha256)
        import torch

        from models.gpn.fea_net import FeaNet

        net = FeaNet()
        net.load_state_dict(state)
        self._net = net.eval().to(memory_format=torch.channels_last)

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "weights": self.weights_sha256}

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        import torch

        assert self.card.input_size is not None
        assert self.card.dim is not None
        vectors = np.zeros((len(pictures), self.card.dim), np.float32)
        with torch.inference_mode():
            for i in range(0, len(pictures), BATCH):
                out = self._net(to_tensor(pictures[i : i + BATCH], self.card.input_size))
                vectors[i : i + BATCH] = describe(out["neck"].numpy(), out["embedding"].numpy(), out["stripes"].numpy())
        return Embeddings.of(vectors)


def describe(neck: np.ndarray, embedding: np.ndarray, stripes: np.ndarray) -> np.ndarray:
    """(N, C), (N, D), (N, S, Ds) -> (N, C + D + S * Ds): three views of a person that weigh the same."""
    flat = l2_normalise(stripes).reshape(len(stripes), -1)
    return np.concatenate([l2_normalise(neck), l2_normalise(embedding), l2_normalise(flat)], axis=1)


@register(
    Card(
        name="resnet.partwise",
        family="retrieval network",
        subject="person",
        does=("embed",),
        summary="Residual network with instance-batch norm, trained on people by softmax, triplets and a teacher.",
        dim=512 + 256 + 4 * 128,
        weights="resnet.partwise.safetensors",
        licence="research only (Market-1501, CUHK03)",
        research_only=True,
        paper="He et al., CVPR 2016; Pan et al., ECCV 2018",
        input_size=(128, 64),
        preprocessing="resized to 128x64 (area when it shrinks, bilinear when it grows); ImageNet mean and deviation",
    )
)
class ResNetPartwise(PersonTrunk):
    """The project's own trunk."""

    weights_sha256 = "1b2ef323d012ba9554642da5163b3eefd36161bb0311e2586833a21289a8f76d"
