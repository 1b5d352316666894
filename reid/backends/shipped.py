"""Networks whose weights lie under models/weights: checked against the hash their backend pins, then loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from reid.backends.registry import Backend, check_installed
from reid.backends.weights import checked_weights, load_weights
from reid.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn


class ShippedNetwork(Backend):
    """Base of a backend around one network; a subclass says how it is built, and is offered once it names a hash.

    Attributes:
        weights_sha256: of the file that the card names; empty until weights ship.
        needs: packages the network imports.
    """

    weights_sha256: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    _net: Any

    def build(self) -> nn.Module:
        """The network as its weights know it."""
        raise NotImplementedError

    def prepare(self, net: Any) -> Any:
        """Make a loaded network ready for inference."""
        import torch

        return net.eval().to(memory_format=torch.channels_last)

    def check(self) -> None:
        checked_weights(str(self.card.weights), self.weights_sha256)
        check_installed(*self.needs)

    def load(self) -> None:
        if hasattr(self, "_net"):
            return
        check_installed(*self.needs)
        state = load_weights(str(self.card.weights), self.weights_sha256)
        net = self.build()
        try:
            net.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(
                f"{self.card.weights} holds another network than this version's {type(net).__name__}; "
                "fetch the repository again."
            ) from error
        self._net = self.prepare(net)

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "weights": self.weights_sha256}
