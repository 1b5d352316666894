"""Fine-tune a retrieval network on any labelled pictures, a gallery's among them: a new backend comes of it.

A part is held out and ranked before and after, so that what was gained is known. The network that was the start is
left as it is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from models.retrieval import RetrievalNet
from reid import backends
from reid.backends.retrieval import RetrievalNetwork, assemble, inference_copy
from reid.backends.saved import NetworkConfig, check_free_name, keep, networks_folder
from reid.errors import DatasetError, PartwiseError
from reid.metrics import cosine_blocks, relevance_metrics
from reid.training.augmentation import THINGS, Augmentation
from reid.training.labelled import NOBODY, Labelled, Named, hold_out, read_labelled
from reid.training.loop import fit
from reid.training.retrieval import Options, RetrievalRecipe, order_of

# A class of more pictures than this is known well by so many of them, evenly spread.
MOST_A_CLASS = 1000
# More pictures than this are more than memory may take.
MOST = 60_000
HELD_OUT = 0.25

DEFAULTS = Options(epochs=12, least=12, rate=1e-3, weight_decay=0.02, slow=0.2, frozen=0.2, thawed=0.5, norms=False)

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Tuned:
    """What came of it.

    Attributes:
        name: the new backend's.
        start: the backend it began as.
        before, after: mAP of the held-out pictures among each other, 0..100, by the start and by the new backend.
        learnt_from, held_out: how many pictures each.
        classes: how many classes were learnt.
        notes: sentences on what was left out.
        folder: where it is kept.
    """

    name: str
    start: str
    before: float
    after: float
    learnt_from: int
    held_out: int
    classes: int
    notes: tuple[str, ...]
    folder: Path


def finetune(
    start: str,
    tag: str,
    samples: Sequence[Named],
    options: Options | None = None,
    *,
    size: tuple[int, int] | None = None,
    pooling: str | None = None,
    load: Callable[[Any], np.ndarray] | None = None,
    research_only: bool = False,
    progress: Progress | None = None,
    on_error: Callable[[Path, str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Tuned:
    """Fine-tune a copy of a backend, and enter it as `ARCHITECTURE.TAG`.

    Args:
        start: a retrieval network's name.
        tag: what to call the new one.
        samples: pictures with classes (their `identity`).
        options: how; `DEFAULTS` where left out.
        size: (height, width) of the pictures; the start's own where left out.
        pooling: the start's own where left out.
        load: reads one picture; by default the file at its path.
        research_only: True where the pictures' terms forbid commercial use.
        progress: called with the share done, 0..1, and what is being done.
        on_error: called with each picture that cannot be read and why.
        say: takes a line an epoch.

    Raises:
        DatasetError: the pictures are too few or of one class.
        WeightsError: the start's weights cannot be had.
        PartwiseError: the start is no retrieval network, the name is taken, there is no room, or training diverged.
    """
    options = options or DEFAULTS
    cls = backends.registry.registered(start)
    if not issubclass(cls, RetrievalNetwork):
        able = [c.name for c in backends.cards() if c.family == "retrieval network"]
        raise PartwiseError(f"{cls.card.name} is not fine-tuned; the networks that are: {', '.join(able)}.")
    name = check_free_name(f"{cls.network.split('.')[0]}.{tag}")
    chosen, notes = choose(samples)
    if options.ordered and order_of(sorted({str(s.identity) for s in chosen})) is None:
        raise DatasetError(
            "Regression learns an order: every class (folder) must be named by a number, such as 3 or 2.5."
        )
    tell = progress or (lambda share, text: None)
    tell(0.0, f"{cls.card.name} gets ready")
    begin = cls()
    begin.load()
    size = size or begin.card.input_size
    assert size is not None
    pictures = read_labelled(
        chosen,
        size,
        load=load,
        progress=lambda done, total: tell(0.1 * done / total, f"{done:,} of {total:,} pictures read"),
        on_error=on_error,
    )
    learn, held = hold_out(pictures.labels, HELD_OUT)
    tell(0.1, f"{len(held):,} held-out pictures are ranked")
    before = held_out_map(begin, _rows(pictures, held))
    recipe = RetrievalRecipe(
        begin.network,
        [_relabelled(_rows(pictures, learn))],
        options,
        augmentations=[_upright(size)],
        start=begin.state(),
        pooling=pooling or begin.pooling,
        tell=lambda share: tell(0.1 + 0.85 * share, f"fine-tuning, {100 * share:.0f} %"),
    )
    whitened = options.whiten
    weights = _fit(recipe, name, say)
    net = assemble(begin.network, weights, name, pooling=recipe.pooling)
    config = NetworkConfig.of(
        begin,
        dim=net.dim,
        whitened=whitened,
        pooling=recipe.pooling,
        input_size=size,
        summary=f"{begin.card.name} fine-tuned on {len(learn):,} pictures of {len(pictures.classes):,} classes.",
        licence=f"{begin.card.licence}; terms of the pictures it was fine-tuned on",
        research_only=begin.card.research_only or research_only,
    )
    tell(0.96, "the new backend is kept")
    # As it will be when it is loaded again: in half precision.
    net.half().float()
    after = held_out_map(_Trial(begin, net, config), _rows(pictures, held))
    config = replace(config, about=_about(begin.card.name, options, before, after, len(learn), len(held)))
    folder = keep(name, assemble(begin.network, weights, name, pooling=recipe.pooling), config)
    tell(1.0, f"{name} is ready")
    classes = len(np.unique(pictures.labels[learn]))
    return Tuned(name, begin.card.name, before, after, len(learn), len(held), classes, notes, folder)


def choose(samples: Sequence[Named]) -> tuple[list[Named], tuple[str, ...]]:
    """The pictures to use, in their order, and a sentence on each thing that was left out.

    Raises:
        DatasetError: they are of fewer than two classes, or no class has two pictures.
    """
    members: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        if sample.identity not in NOBODY:
            members.setdefault(str(sample.identity), []).append(i)
    if len(members) < 2:
        has = f"they are all of {next(iter(members))!r}" if members else "none of them has one"
        raise DatasetError(
            f"Fine-tuning tells classes apart, and of {len(samples):,} pictures {has}; name more classes."
        )
    alone = [name for name, rows in members.items() if len(rows) == 1]
    if len(alone) == len(members):
        raise DatasetError(
            "Every class has one picture, so there is no like to learn from; add a second to each class."
        )
    notes = []
    if unknown := len(samples) - sum(len(rows) for rows in members.values()):
        notes.append(f"{unknown:,} pictures have no class and were left out.")
    if alone:
        notes.append(f"{len(alone):,} classes have one picture and were left out, {alone[0]!r} first.")
    used: list[int] = []
    for name, rows in members.items():
        if len(rows) == 1:
            continue
        if len(rows) > MOST_A_CLASS:
            notes.append(f"Of the {len(rows):,} pictures of {name!r}, {MOST_A_CLASS:,} evenly spread ones are used.")
            rows = [rows[i] for i in np.linspace(0, len(rows) - 1, MOST_A_CLASS).astype(int)]
        used += rows
    if len(used) > MOST:
        raise DatasetError(f"{len(used):,} pictures are more than fit in memory; choose {MOST:,} or fewer of them.")
    return [samples[i] for i in sorted(used)], tuple(notes)


def held_out_map(backend: RetrievalNetwork, pictures: Labelled) -> float:
    """mAP, 0..100, of pictures that ask each other; the class is what is relevant."""
    found = relevance_metrics(_ranked(backend, pictures), [pictures.classes[i] for i in pictures.labels])
    return 100 * found.mAP


def _ranked(backend: RetrievalNetwork, pictures: Labelled) -> np.ndarray:
    vectors = backend.embed(list(pictures.pictures)).global_
    return np.concatenate(list(cosine_blocks(vectors, vectors)))


class _Trial(RetrievalNetwork):
    """A network that is no backend yet."""

    def __init__(self, begin: RetrievalNetwork, net: RetrievalNet, config: NetworkConfig) -> None:
        self.card = replace(begin.card, dim=config.dim, input_size=config.input_size)
        self.network, self.mean, self.std = begin.network, begin.mean, begin.std  # type: ignore[misc]
        self._net = inference_copy(net)


def _fit(recipe: RetrievalRecipe, name: str, say: Callable[[str], None] | None) -> dict[str, Tensor]:
    """Train in a scratch folder beside the networks, and read what came of it."""
    from reid.backends.weights import read_tensors

    where = networks_folder()
    try:
        where.mkdir(parents=True, exist_ok=True)
        assert recipe.start is not None
        # Checkpoints hold weights, averages and two moments of each gradient; twice, while one takes another's place.
        needed = 10 * sum(tensor.numel() * 4 for tensor in recipe.start.values())
        free = shutil.disk_usage(where).free
        if free < needed:
            raise PartwiseError(
                f"{name} cannot be trained: {where} has {free / 1e6:.0f} MB free, and {needed / 1e6:.0f} are needed. "
                "Make room, or set PARTWISE_DATA to another disk."
            )
        with tempfile.TemporaryDirectory(dir=where, prefix=".run-", ignore_cleanup_errors=True) as run:
            return dict(read_tensors(fit(recipe, Path(run), say=say or (lambda line: None)), "train again"))
    except OSError as error:
        raise PartwiseError(f"{name} cannot be trained in {where}: {error.strerror or error}.") from error
    except FloatingPointError as error:
        raise PartwiseError(f"{name} was not kept, for training diverged; take a smaller rate ({error}).") from error


def _rows(pictures: Labelled, rows: np.ndarray) -> Labelled:
    return Labelled(pictures.pictures[rows], pictures.labels[rows], pictures.classes)


def _relabelled(pictures: Labelled) -> Labelled:
    """Without the classes that have no picture: those that were held out."""
    there, labels = np.unique(pictures.labels, return_inverse=True)
    return Labelled(pictures.pictures, labels, tuple(pictures.classes[i] for i in there))


def _upright(size: tuple[int, int]) -> Augmentation:
    """People in their boxes move less within the picture than things do."""
    return Augmentation() if size[0] > 1.4 * size[1] else THINGS


def _about(start: str, options: Options, before: float, after: float, learnt: int, held: int) -> str:
    loss = "regression" if options.ordered else "softmax"
    return (
        f"**Training.** `{start}` fine-tuned by {loss} on {learnt:,} pictures for {options.epochs} epochs"
        f"{' with triplets' if options.metric else ''}. The {held:,} held-out pictures rank each other with a mAP of "
        f"{after:.1f}; by `{start}` it was {before:.1f}."
    )
