"""The small networks as they are born, against the same networks trained: what training is worth.

PARTWISE_MARKET1501 and PARTWISE_COREL name copies of the two sets; a set that is not named is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.networks import accuracy, roots
from reid import backends
from reid.backends.registry import register
from reid.backends.retrieval import SHIPPED, RetrievalNetwork

if TYPE_CHECKING:
    from torch import Tensor

SEED = 0


class Untrained(RetrievalNetwork):
    """A network with the random weights that a seed draws."""

    def check(self) -> None:
        pass

    def state(self) -> dict[str, Tensor]:
        import torch

        from models.retrieval import build

        torch.manual_seed(SEED)
        return dict(build(self.network).state_dict())

    def digest(self) -> str:
        return f"seed {SEED}"


def main() -> None:
    print("| network | Market rank-1 / mAP | Corel mAP |\n| --- | --- | --- |")
    for name in SHIPPED:
        born = f"{name.partition('.')[0]}.untrained"
        card = replace(backends.card(name), name=born, summary="Random weights.", weights=None)
        register(card)(type("Born", (Untrained,), {"network": name}))
        for one in (born, name):
            print(f"| `{one}` | " + " | ".join(accuracy(one, *where) for where in roots()) + " |", flush=True)


if __name__ == "__main__":
    main()
