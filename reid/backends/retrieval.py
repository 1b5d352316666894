"""Retrieval networks: a trunk fine-tuned by softmax, pooled to one vector. One class for all of them.

A name is an architecture and a tag: `.partwise` ships with the project, `.imagenet` is torchvision's full-width network
with its published weights, any other tag was fine-tuned on this machine (`reid.backends.saved`). `NAME@POOLING` is the
same weights with another pooling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from reid.backends.fetch import Published, cached, fetched
from reid.backends.registry import Backend, Card, add_source, check_installed, register, registered
from reid.backends.tensors import IMAGENET_MEAN, IMAGENET_STD, inference_copy, to_tensor
from reid.backends.weights import checked_weights, load_weights
from reid.embedding import Embeddings
from reid.errors import UnknownNameError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from models.retrieval import RetrievalNet

BATCH = 32
POOLING_NAMES = ("gem", "mac", "rmac", "average")


class RetrievalNetwork(Backend):
    """Trunk, pooling, unit length, and a whitening where the weights hold one.

    A subclass names its network and says where its weights come from.

    Attributes:
        network: a name that `models.retrieval.build` knows.
        pooling: one of `POOLING_NAMES`.
        mean, std: what pictures are normalised with, RGB in 0..1.
    """

    network: ClassVar[str]
    pooling: ClassVar[str] = "gem"
    mean: ClassVar[tuple[float, ...]] = IMAGENET_MEAN
    std: ClassVar[tuple[float, ...]] = IMAGENET_STD

    def state(self) -> dict[str, Tensor]:
        """The network's tensors, by the names that `models.retrieval` gives them.

        Raises:
            WeightsError: they cannot be had.
        """
        raise NotImplementedError

    def digest(self) -> str:
        """The SHA-256 of the weights."""
        raise NotImplementedError

    def load(self) -> None:
        if hasattr(self, "_net"):
            return
        check_installed("torch", "torchvision")
        self._net = inference_copy(assemble(self.network, self.state(), self.card.name, pooling=self.pooling))

    def recipe(self) -> dict[str, Any]:
        # A pooling that is as it always was does not show: vectors made before it could be chosen stay valid.
        pooling = {} if self.pooling == "gem" else {"pooling": self.pooling}
        return {**super().recipe(), "weights": self.digest(), **pooling}

    def embed(self, pictures: Sequence[np.ndarray]) -> Embeddings:
        import torch

        assert self.card.input_size is not None
        assert self.card.dim is not None
        vectors = np.zeros((len(pictures), self.card.dim), np.float32)
        with torch.inference_mode():
            for i in range(0, len(pictures), BATCH):
                batch = to_tensor(pictures[i : i + BATCH], self.card.input_size, self.mean, self.std)
                vectors[i : i + BATCH] = self._net(batch).numpy()
        return Embeddings.of(vectors)


def assemble(network: str, state: Mapping[str, Tensor], of: str, *, pooling: str = "gem") -> RetrievalNet:
    """The network with these tensors; a whitening among them is put to use.

    Args:
        network: a name that `models.retrieval.build` knows.
        state: its tensors; the person trunk's may be FEA NET's own, without a prefix.
        of: whose they are, for the error.
        pooling: one of `POOLING_NAMES`.

    Raises:
        WeightsError: they are another network's.
    """
    import torch

    from models.retrieval import build

    tensors = dict(state)
    if network == "resnet.partwise" and not any(key.startswith("fea.") for key in tensors):
        tensors = {f"fea.{key}": value for key, value in tensors.items()}
    if pooling != "gem":
        tensors.pop("fea.pool.p", None)
    matrix = tensors.get("whitening.matrix")
    # Without memory first: drawing random numbers takes longer than reading the weights that replace them.
    with torch.device("meta"):
        net = build(network, pooling=pooling, whitened=None if matrix is None else len(matrix))
    try:
        net.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"The weights of {of} are of another network than {network}; take the right file."
        ) from error
    return net.eval()


# The networks that ship.

SHIPPED: dict[str, str] = {
    "resnet.partwise": "75f4904a0ffd14aa534316053a2ef2a800508dd5a94b846c18dc711c1a64471f",
    "alexnet.partwise": "2391814b6fce1189517cf0b342c06788bec9550cc54ebfd6f05141828f9b58c8",
    "googlenet.partwise": "0d03b04a3a7eb40680038164c485509cb7406be614636ad101a3679569041e7b",
    "vggnet.partwise": "9712b4f1df50d9e4a3d3b58957811a1a3ff4746d946977be2cdc54de9381ba06",
}
"""Name -> SHA-256 of its file under models/weights. Only these are listed."""

SMALL_SIZE = (128, 128)
_RESIZED = "resized to {}x{}, aspect not kept (area when it shrinks, bilinear when it grows); {}"
_IMAGENET_NORM = "ImageNet mean and deviation"

_PAPERS = {
    "alexnet": "Krizhevsky et al., NIPS 2012",
    "vggnet": "Simonyan and Zisserman, ICLR 2015",
    "googlenet": "Szegedy et al., CVPR 2015",
    "resnet": "He et al., CVPR 2016",
}
_PARTWISE = {
    "alexnet": (384, "AlexNet with batch norm, five convolutions"),
    "vggnet": (320, "VGG-16 a quarter as wide, thirteen 3x3 convolutions"),
    "googlenet": (512, "GoogLeNet half as wide, nine blocks of parallel branches"),
}
"""Architecture -> dimension, and what it is."""


def partwise_card(architecture: str) -> Card:
    """The card of a small network as it ships."""
    dim, what = _PARTWISE[architecture]
    return Card(
        name=f"{architecture}.partwise",
        family="retrieval network",
        subject="any",
        does=("embed",),
        summary=f"{what}; trained on people and on things.",
        dim=dim,
        weights=f"{architecture}.partwise.safetensors",
        licence="research only (Market-1501; Caltech-101 CC BY 4.0)",
        research_only=True,
        paper=_PAPERS[architecture],
        input_size=SMALL_SIZE,
        preprocessing=_RESIZED.format(*SMALL_SIZE, _IMAGENET_NORM),
    )


class Shipped(RetrievalNetwork):
    """A network whose weights lie under models/weights, pinned by `SHIPPED`."""

    def check(self) -> None:
        checked_weights(str(self.card.weights), self.digest())
        check_installed("torch", "torchvision")

    def state(self) -> dict[str, Tensor]:
        return load_weights(str(self.card.weights), self.digest())

    def digest(self) -> str:
        return SHIPPED[self.network]


@register(
    Card(
        name="resnet.partwise",
        family="retrieval network",
        subject="person",
        does=("embed",),
        summary="Residual network with instance-batch norm, trained on people and on things, with teachers for both.",
        dim=512 + 256 + 4 * 128,
        weights="resnet.partwise.safetensors",
        licence="research only (Market-1501, CUHK03; Caltech-101 CC BY 4.0)",
        research_only=True,
        paper="He et al., CVPR 2016; Pan et al., ECCV 2018",
        input_size=(256, 128),
        preprocessing="resized to 256x128 (area when it shrinks, bilinear when it grows); ImageNet mean and deviation",
    )
)
class ResNetPartwise(Shipped):
    """The project's own trunk, FEA NET, as the graph pose network has it: neck, taught embedding and four stripes."""

    network = "resnet.partwise"


for _name in _PARTWISE:
    if f"{_name}.partwise" in SHIPPED:
        register(partwise_card(_name))(type(f"{_name.title()}Partwise", (Shipped,), {"network": f"{_name}.partwise"}))


# torchvision's networks.


class ImageNet(RetrievalNetwork):
    """A published network; its weights come from the cache, or from their publisher when it is loaded."""

    file: ClassVar[Published]

    def check(self) -> None:
        cached(self.file)
        check_installed("torch", "torchvision")

    def state(self) -> dict[str, Tensor]:
        import torch

        from models.retrieval import build

        path = fetched(self.file)
        try:
            # torchvision publishes no other format. The hash is pinned, and `weights_only` keeps the reader from
            # running anything that a file holds.
            published = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:
            raise WeightsError(f"{path} cannot be read: {error}; remove it and fetch it again.") from error
        with torch.device("meta"):
            names = list(build(self.network).state_dict())
        # Norms of that time did not count their batches, and nothing needs the count.
        return {name: published.get(_published_name(name), torch.tensor(0)) for name in names}

    def digest(self) -> str:
        return self.file.sha256


def _published_name(name: str) -> str:
    """`trunk.layer1.layer1.0.bn1.bias` -> `layer1.0.bn1.bias`; `trunk.stage1.features0.bias` -> `features.0.bias`."""
    inner = name.split(".", 2)[2]
    return f"features.{inner.removeprefix('features')}" if inner.startswith("features") else inner


_PUBLISHED = {
    "alexnet": (
        256,
        "AlexNet",
        Published("alexnet-owt-7be5be79.pth", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", 233),
    ),
    "vggnet": (
        512,
        "VGG-16",
        Published("vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", 528),
    ),
    "googlenet": (
        1024,
        "GoogLeNet",
        Published("googlenet-1378be20.pth", "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef", 50),
    ),
    "resnet": (
        2048,
        "ResNet-50",
        Published("resnet50-0676ba61.pth", "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", 98),
    ),
}
"""Architecture -> dimension, what it is, and where its weights are."""

# torchvision's GoogLeNet came from TensorFlow, and takes pictures in -1..1.
_HALVES = (0.5, 0.5, 0.5)

for _name, (_dim, _what, _file) in _PUBLISHED.items():
    _range = {"mean": _HALVES, "std": _HALVES} if _name == "googlenet" else {}
    register(
        Card(
            name=f"{_name}.imagenet",
            family="retrieval network",
            subject="any",
            does=("embed",),
            summary=f"{_what} at full width with torchvision's ImageNet weights ({_file.megabytes} MB, not shipped).",
            dim=_dim,
            weights=_file.name,
            licence="BSD-3-Clause (trained on ImageNet)",
            paper=_PAPERS[_name],
            input_size=(224, 224),
            preprocessing=_RESIZED.format(224, 224, "-1..1" if _range else _IMAGENET_NORM),
        )
    )(type(f"{_name.title()}ImageNet", (ImageNet,), {"network": f"{_name}.imagenet", "file": _file, **_range}))


def _with_pooling(name: str) -> type[Backend] | None:
    """`NAME@POOLING`: a retrieval network whose maps are pooled otherwise."""
    base, at, pooling = name.rpartition("@")
    if not at or ":" in base:
        return None
    found = registered(base)
    if not issubclass(found, RetrievalNetwork):
        raise UnknownNameError(f"{found.card.name} has no pooling to choose; leave @{pooling} out.")
    if pooling not in POOLING_NAMES:
        raise UnknownNameError(f"There is no pooling {pooling!r}; there are {', '.join(POOLING_NAMES)}.")
    card = replace(found.card, name=f"{found.card.name}@{pooling}")
    return type(f"{found.__name__}{pooling.title()}", (found,), {"card": card, "pooling": pooling})


add_source(_with_pooling)
