"""The training loop, once for every recipe: epochs, checkpoints, exact resume, averaged weights and a log that plots.

A recipe knows its data, loss and schedule; the loop knows nothing of them. Runs live under `runs/` by default:
`last.pt` (all that a resume needs), `weights.safetensors` (the averaged weights) and `log.jsonl` (a line an epoch).
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from reid.errors import WeightsError
from reid.training.steps import AveragedWeights, Stepper, count


class Recipe(Protocol):
    """What a network's training brings along."""

    name: str
    epochs: int

    def build(self, fresh: bool = True) -> nn.Module:
        """The module that trains, heads that only training needs included; what it starts from only where `fresh`."""

    def optimiser(self, model: Any) -> torch.optim.Optimizer:
        """A fresh optimiser over the model's parameters."""

    def learning_rate(self, progress: float) -> float:
        """Factor on the optimiser's base rates at `progress` in 0..1 of the whole run."""

    def steps(self, epoch: int) -> int:
        """Optimiser steps in an epoch."""

    def batches(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch, the same whenever that epoch is run."""

    def losses(self, model: Any, batch: Any) -> dict[str, Tensor]:
        """Named losses already weighted: their sum is minimised."""

    def evaluate(self, model: Any, epoch: int) -> dict[str, float]:
        """Figures for the log, out of the averaged weights; {} for none at this epoch."""

    def shipped(self, model: Any) -> dict[str, Tensor]:
        """The tensors worth keeping once training is over."""


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - seeds libraries that draw from the global generator
    torch.manual_seed(seed)


def fit(
    recipe: Recipe,
    run: Path,
    *,
    resume: bool = False,
    seed: int = 0,
    ema_decay: float = 0.999,
    clip_norm: float = 5.0,
    stop_after: float | None = None,
    device: str = "cpu",
    say: Callable[[str], None] | None = None,
) -> Path:
    """Train a recipe to its last epoch and return the path of the averaged weights.

    Args:
        run: folder of this run; made when missing.
        resume: go on from `run/last.pt` (from the start where there is none). Every epoch is seeded by its number, so
            a resumed run makes the same steps as one that was never broken off.
        seed: seeds the initial weights and, with the epoch's number, everything random after.
        ema_decay: decay of the averaged weights.
        clip_norm: largest gradient norm.
        stop_after: seconds after which the run stops at the end of the epoch in progress.
        device: where it computes, in PyTorch's words; the recipe's own.
        say: takes a line of progress an epoch; standard error when left out.

    Raises:
        WeightsError: `run/last.pt` is of another recipe.
    """
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    run.mkdir(parents=True, exist_ok=True)
    with _denormals_flushed():
        return _fit(recipe, run, resume, seed, ema_decay, clip_norm, stop_after, torch.device(device), say)


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Numbers too small to matter become zero: they slow a processor down a hundredfold. Undone afterwards."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _fit(
    recipe: Recipe,
    run: Path,
    resume: bool,
    seed: int,
    ema_decay: float,
    clip_norm: float,
    stop_after: float | None,
    device: torch.device,
    say: Callable[[str], None],
) -> Path:
    seed_everything(seed)
    last = run / "last.pt"
    resumed = resume and last.exists()
    model = recipe.build(fresh=not resumed).to(device).to(memory_format=torch.channels_last)
    if device.type == "cpu":
        _quicken(model)
    optimiser = recipe.optimiser(model)
    rates = [group["lr"] for group in optimiser.param_groups]
    averaged = AveragedWeights(model, ema_decay)
    first_epoch = 0
    if resumed:
        saved = torch.load(last, map_location=device, weights_only=True)
        if saved["recipe"] != recipe.name:
            raise WeightsError(
                f"{last} belongs to the recipe {saved['recipe']!r}, not {recipe.name!r}; name another run."
            )
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        averaged.state, averaged.updates = saved["averaged"], saved["updates"]
        first_epoch = saved["epoch"] + 1
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
    step = Stepper(recipe.losses, model, optimiser, averaged, clip_norm)
    started = time.monotonic()
    for epoch in range(first_epoch, recipe.epochs):
        seed_everything(seed + 1000 * (epoch + 1))
        model.train()
        steps, pictures, epoch_started = recipe.steps(epoch), 0, time.monotonic()
        for number, batch in enumerate(recipe.batches(epoch)):
            try:
                step(batch, recipe.learning_rate((epoch + number / steps) / recipe.epochs))
            except FloatingPointError as error:
                raise FloatingPointError(f"In epoch {epoch}, step {number}, {error}") from None
            pictures += count(batch)
        means = {key: total / steps for key, total in step.take_sums().items()}
        line: dict[str, Any] = {"epoch": epoch, "seconds": round(time.monotonic() - epoch_started, 1)}
        line["pictures_a_second"] = round(pictures / max(line["seconds"], 1e-6), 1)
        line |= {key: round(value, 4) for key, value in means.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise FloatingPointError(f"In epoch {epoch}, losses became {means}.")
        current = {k: v.clone() for k, v in model.state_dict().items()}
        model.load_state_dict(averaged.state)
        model.eval()
        with torch.no_grad():
            line |= {k: round(v, 4) for k, v in recipe.evaluate(model, epoch).items()}
        _save_tensors(recipe.shipped(model), run / "weights.safetensors")
        model.load_state_dict(current)
        state = {
            "recipe": recipe.name,
            "epoch": epoch,
            "model": current,
            "optimiser": optimiser.state_dict(),
            "averaged": averaged.state,
            "updates": averaged.updates,
        }
        torch.save(state, run / "last.pt.new")
        os.replace(run / "last.pt.new", last)  # a run killed while saving keeps its previous checkpoint
        with open(run / "log.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        say(json.dumps(line))
        if stop_after is not None and time.monotonic() - started > stop_after:
            say(f"stopped after {epoch + 1} of {recipe.epochs} epochs; resume goes on from here")
            break
    return run / "weights.safetensors"


def _quicken(model: nn.Module) -> None:
    """Faster norms where numba is installed, which compiles them."""
    try:
        from reid.training.fast_norms import quicken
    except ImportError:
        return
    quicken(model)


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    temporary = path.with_suffix(".new")
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(temporary))
    os.replace(temporary, path)
