"""`timm:NAME[@REVISION]`: any model of timm (PyTorch Image Models), with its published weights, as a backend.

Wightman, "PyTorch Image Models", 2019. Weights come from the Hub's cache, or from the Hub when it is first used;
safetensors alone, of a revision that is written down (`reid.backends.hub`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from reid.backends.hub import hub_files, split_revision
from reid.backends.registry import Backend, Card, add_source
from reid.backends.tensors import to_tensor
from reid.backends.weights import read_tensors
from reid.embedding import Embeddings
from reid.errors import PartwiseError, UnknownNameError, WeightsError

PREFIX = "timm:"
WEIGHTS = "model.safetensors"
BATCH = 16


class TimmModel(Backend):
    """What the model gives before its classifier; a subclass names the model."""

    model: ClassVar[str]
    repository: ClassVar[str]
    revision: ClassVar[str | None]
    mean: ClassVar[tuple[float, ...]]
    std: ClassVar[tuple[float, ...]]
    _net: Any

    def check(self) -> None:
        self._commit()

    def load(self) -> None:
        if hasattr(self, "_net"):
            return
        import timm
        import torch

        files, _ = hub_files(self.repository, self._commit(), (WEIGHTS,))
        read_tensors(files[WEIGHTS], "fetch it again")  # a file of another kind is refused here
        try:
            # timm knows how each of its models names its tensors, and is strict as long as the classifier is there.
            overlay = {"file": str(files[WEIGHTS])}
            net: Any = timm.create_model(self.model, pretrained=True, pretrained_cfg_overlay=overlay)
            net.reset_classifier(0)
        except (RuntimeError, KeyError) as error:
            raise WeightsError(f"{self.repository} holds the weights of another network than {self.model}.") from error
        self._net = net.eval().to(memory_format=torch.channels_last)

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "weights": self._commit()}

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

    def _commit(self) -> str:
        if not hasattr(self, "_resolved"):  # a branch is asked for once: it may move meanwhile
            self._resolved = hub_files(self.repository, self.revision, (WEIGHTS,))[1]
        return self._resolved


def _find(name: str) -> type[Backend] | None:
    if not name.startswith(PREFIX):
        return None
    model, revision = split_revision(name.removeprefix(PREFIX))
    try:
        import timm
    except ImportError:
        raise PartwiseError(f"{name} needs the package timm: pip install timm.") from None
    import torch

    try:
        settings = timm.get_pretrained_cfg(model)
    except (RuntimeError, KeyError):
        settings = None
    if settings is None or not timm.is_model(model):
        near = timm.list_models(f"*{model.split('.')[0][:8]}*")[:5]
        raise UnknownNameError(
            f"timm has no model {model!r}"
            + (f"; there are {', '.join(near)} ..." if near else "; see timm.list_models().")
        )
    if not settings.hf_hub_id:
        raise WeightsError(f"timm publishes no weights for {model}; name a model with a tag, e.g. resnet18.a1_in1k.")
    with torch.device("meta"):
        net: Any = timm.create_model(model, pretrained=False, num_classes=0)
    repository = settings.hf_hub_id
    if repository.endswith("/"):
        repository += f"{settings.architecture}.{settings.tag}" if settings.tag else str(settings.architecture)
    _, height, width = settings.input_size
    licence = settings.license or "see the model's page"
    card = Card(
        name=name,
        family="baseline",
        subject="any",
        does=("embed",),
        summary=f"{model} as timm publishes it, before its classifier.",
        dim=int(getattr(net, "head_hidden_size", None) or net.num_features),
        weights=repository,
        licence=licence,
        research_only="-nc" in licence.lower(),
        input_size=(height, width),
        preprocessing=f"resized to {height}x{width}, aspect not kept; mean {settings.mean}, deviation {settings.std}",
    )
    body = {"card": card, "model": model, "repository": repository, "revision": revision}
    return type("TimmModelOf", (TimmModel,), body | {"mean": tuple(settings.mean), "std": tuple(settings.std)})


add_source(_find)
