"""A step of a training: losses, gradients, optimiser, averaged weights; on a GPU recorded once and then replayed.

Small networks leave a GPU waiting for its next order most of the time. All orders of a step are the same whenever its
batch has the same shape, so they are recorded as a graph (CUDA graphs) and given again in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor, nn

EAGER = 3
"""So many batches of a kind are done order by order before they are recorded: libraries set themselves up meanwhile."""


class AveragedWeights:
    """Exponential moving average of a model's state, warm-started so that early steps do not linger."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.pace = torch.zeros((), device=next(iter(self.state.values())).device)

    def advance(self) -> None:
        """One more update is to come: how far it goes."""
        self.updates += 1
        self.pace.fill_(1 - min(self.decay, (1 + self.updates) / (10 + self.updates)))

    @torch.no_grad()
    def blend(self, model: nn.Module) -> None:
        """Move the average towards the model, as far as `advance` said."""
        for key, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[key].lerp_(value, self.pace)
            else:
                self.state[key].copy_(value)


class Stepper:
    """Does a training's steps, one batch at a time, and sums its losses up.

    Args:
        losses: of a model and a batch: named, already weighted; their sum is minimised. On a GPU it may ask it nothing.
        clip_norm: largest gradient norm.
    """

    def __init__(
        self,
        losses: Callable[[Any, Any], dict[str, Tensor]],
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        averaged: AveragedWeights,
        clip_norm: float,
    ) -> None:
        self.losses, self.model, self.optimiser, self.averaged = losses, model, optimiser, averaged
        self.clip_norm = clip_norm
        self.device = next(model.parameters()).device
        self.rates = [float(group["lr"]) for group in optimiser.param_groups]
        self._sums: dict[str, Tensor] = {}
        self._seen: dict[Hashable, int] = {}
        self._recorded: dict[Hashable, tuple[torch.cuda.CUDAGraph, Any]] = {}
        for group in optimiser.param_groups:  # which may come from a run on another device
            group["capturable"] = self.device.type == "cuda"
        if self.device.type == "cuda":
            self._stream, self._pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
            for group in optimiser.param_groups:  # a number would be recorded as it is now
                group["lr"] = torch.tensor(float(group["lr"]), device=self.device)

    def take_sums(self) -> dict[str, float]:
        """The losses of all steps since this was asked last, by name."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        sums = {key: total.item() for key, total in self._sums.items()}
        for total in self._sums.values():
            total.zero_()
        return sums

    def __call__(self, batch: Any, factor: float) -> None:
        """One step, the learning rates times `factor`."""
        if self.device.type == "cuda":
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                self.averaged.advance()
                for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
                    group["lr"].fill_(rate * factor)
                self._on_gpu(batch)
            return
        self.averaged.advance()
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self._run(batch)

    def _run(self, batch: Any) -> None:
        losses = self.losses(self.model, batch)
        total = torch.stack(list(losses.values())).sum()
        if self.device.type == "cpu" and not torch.isfinite(total):
            raise FloatingPointError(f"loss became {total.item()}: {losses}")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimiser.step()
        self.averaged.blend(self.model)
        for key, value in losses.items():
            if key not in self._sums:
                self._sums[key] = torch.zeros((), device=self.device)
            self._sums[key] += value.detach()

    # In a stream of its own, as `torch.cuda.graph` asks for.
    def _on_gpu(self, batch: Any) -> None:
        kind = _kind(batch)
        if kind in self._recorded:
            graph, place = self._recorded[kind]
            _refill(place, batch)
            graph.replay()
            return
        batch = onto(batch, self.device)
        self._seen[kind] = self._seen.get(kind, 0) + 1
        if self._seen[kind] <= EAGER:
            self._run(batch)
            return
        graph = torch.cuda.CUDAGraph()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            self._run(batch)
        self._recorded[kind] = graph, batch
        graph.replay()


def onto(batch: Any, device: torch.device) -> Any:
    """A batch (tensors and numbers in tuples) with its tensors on a device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, tuple):
        moved = [onto(part, device) for part in batch]
        return type(batch)(*moved) if hasattr(batch, "_fields") else tuple(moved)
    return batch


def count(batch: Any) -> int:
    """Pictures in a batch: the length of what comes first in it."""
    first = batch[0]
    return count(first) if isinstance(first, tuple) else len(first)


def _kind(batch: Any) -> Hashable:
    if isinstance(batch, Tensor):
        return tuple(batch.shape), batch.dtype
    return tuple(_kind(part) for part in batch) if isinstance(batch, tuple) else batch


def _refill(place: Any, batch: Any) -> None:
    if isinstance(place, Tensor):
        place.copy_(batch)
    elif isinstance(place, tuple):
        for there, new in zip(place, batch, strict=True):
            _refill(there, new)
