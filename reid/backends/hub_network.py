"""A retrieval network as a folder or a repository of the Hub keeps it: config.json, model.safetensors, README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData, PyTorchModelHubMixin, hf_hub_download
from safetensors.torch import save_file
from torch import Tensor, nn

from models.retrieval import build
from reid.backends.retrieval import assemble
from reid.backends.tensors import IMAGENET_MEAN, IMAGENET_STD
from reid.backends.weights import read_tensors
from reid.places import offline

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class PartwiseNetwork(nn.Module, PyTorchModelHubMixin, library_name="partwise"):
    """A network of `models.retrieval` with all that is needed to use it. What it is made with becomes config.json.

    Args:
        network: architecture and tag of its kind, as `models.retrieval.build` knows it.
        pooling: how maps are pooled.
        whitened: length of the vectors behind a whitening; None for no whitening.
        input_size: (height, width) pictures are brought to.
        mean, std: what pictures are normalised with, RGB in 0..1.
        subject, summary, licence, research_only, paper: as on a `Card`.
        about: Markdown for the model card: what it was trained on and what it is good for.
    """

    def __init__(
        self,
        network: str,
        pooling: str = "gem",
        whitened: int | None = None,
        input_size: list[int] | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        subject: str = "any",
        summary: str = "",
        licence: str = "unknown",
        research_only: bool = False,
        paper: str = "",
        about: str = "",
    ) -> None:
        super().__init__()
        self.net = build(network, pooling=pooling, whitened=whitened)
        self.licence, self.summary, self.about = licence, summary, about
        self.mean, self.std = mean or list(IMAGENET_MEAN), std or list(IMAGENET_STD)
        self.input_size = input_size or [128, 128]

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (N, 3, H, W), normalised -> (N, D) of unit length."""
        return self.net(x)

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """What the Hub shows: terms, summary, and what `about` says."""
        data = ModelCardData(
            library_name="partwise",
            pipeline_tag="image-feature-extraction",
            license="other",
            license_name=self.licence,
            tags=["image-retrieval", "partwise"],
        )
        height, width = self.input_size
        use = (
            "```sh\npython -m reid search picture.jpg --gallery NAME --backend hub:OWNER/REPOSITORY\n```\n\n"
            f"**Input.** RGB pictures resized to {height}x{width}, mean {self.mean}, deviation {self.std}. "
            "**Output.** One vector of unit length; cosines compare.\n"
        )
        return ModelCard(
            f"---\n{data.to_yaml()}\n---\n\n# {self.summary or 'Retrieval network'}\n\n{use}\n{self.about}\n"
        )

    def _save_pretrained(self, save_directory: Path) -> None:
        # Half precision moves a cosine by less than 0.001 and halves the file.
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in self.net.state_dict().items()}
        save_file({k: v.contiguous() for k, v in tensors.items()}, str(save_directory / WEIGHTS))

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, revision: str | None, cache_dir: Any, local_files_only: bool, token: Any, **settings: Any
    ) -> PartwiseNetwork:
        """Safetensors alone: what `from_pretrained` would do without them is to unpickle."""
        for unused in ("force_download", "proxies", "resume_download"):
            settings.pop(unused, None)
        path = Path(model_id) / WEIGHTS
        if not Path(model_id).is_dir():
            path = Path(
                hf_hub_download(
                    model_id,
                    WEIGHTS,
                    revision=revision,
                    cache_dir=cache_dir,
                    local_files_only=local_files_only or offline(),
                    token=token,
                )
            )
        made = cls(**settings)
        tensors = read_tensors(path, "save the network again")
        made.net = assemble(settings["network"], tensors, model_id, pooling=settings.get("pooling", "gem"))
        return made.eval()
