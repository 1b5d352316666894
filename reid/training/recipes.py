"""Recipes by name: from folders on the command line to a run.

Folders come as NAME=DIR. What teachers said of a set comes beside it, as NAME.embeddings=FILE.npz (names, vectors),
NAME.blends=FILE.npz (see `blends.read_blends`) and NAME.poses=FILE.npz (see `sources.with_teachers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from models.retrieval import TRUNKS
from reid.backends.retrieval import SMALL_SIZE
from reid.datasets import Sample, read_folder
from reid.datasets.camvid_objects import camvid_objects
from reid.datasets.coco import read_coco
from reid.errors import DatasetError, PartwiseError, UnknownNameError, WeightsError
from reid.training import finders, nobody, scenes, sources
from reid.training.augmentation import DRAWN, THINGS, Augmentation
from reid.training.blends import join_blends, read_blends
from reid.training.dpsnet import SETTLED_SIZE, SIZE, SceneRecipe, parsing_figures
from reid.training.faster_rcnn import FasterRCNNRecipe
from reid.training.frames import Cutouts, WindowSettings
from reid.training.gpn import GPNRecipe, Group
from reid.training.labelled import Labelled, Lessons, read_labelled
from reid.training.loop import Recipe, fit
from reid.training.people import read_people
from reid.training.rcnn import RCNNRecipe
from reid.training.retrieval import Options, RetrievalRecipe
from reid.training.rfcn import FrameSource, RFCNRecipe
from reid.training.sources import Table
from reid.training.trunk import TrunkRecipe

REAL = ("market1501", "cuhk03")
"""Sets with identities, in the order they are read."""

TEACHERS = ("embeddings", "blends", "poses")
"""What teachers may have said of a set."""

MOST_STEPS = 512
"""An epoch of bodies has no more: over tens of thousands of rendered people, one pass would take half an hour."""

MASK_SHARE = 2
"""Label maps are kept at one half of the pictures' size, as PARSE NET gives them."""


@dataclass(frozen=True)
class Settings:
    """What a run may be told beside its data; None leaves the recipe's own choice."""

    epochs: int | None = None
    size: tuple[int, int] | None = None
    rate: float | None = None
    start: Path | None = None
    frozen: bool = False
    closer: bool = False
    settle: bool = False
    teach: float = 1.0
    grow: float = 0.0
    arch: str | None = None
    pooling: str | None = None
    whiten: int | None = None
    metric: float | None = None
    device: str = "cpu"


TAKERS: dict[str, tuple[str, ...]] = {
    "start": ("trunk", "gpn", "gpn-synthetic", "dpsnet", "lraspp", "rfcn", "rcnn"),
    "frozen": ("gpn", "gpn-synthetic"),
    "closer": ("gpn", "gpn-synthetic"),
    "settle": ("dpsnet", "lraspp"),
    "grow": ("trunk", "retrieval", "dpsnet", "lraspp"),
    "arch": ("retrieval",),
    "pooling": ("retrieval",),
    "whiten": ("retrieval",),
    "metric": ("retrieval",),
    "device": ("dpsnet", "lraspp"),
}
"""Settings that are not for every recipe, and the recipes that heed them."""


def train(
    name: str,
    data: Mapping[str, Path],
    run: Path,
    settings: Settings | None = None,
    *,
    resume: bool = False,
    stop_after: float | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Train the recipe `name` on the given folders; returns the path of the weights.

    Raises:
        UnknownNameError: no such recipe, or data that it does not know.
        DatasetError: data it needs is missing or not laid out as it should be.
        PartwiseError: a setting that the recipe does not heed.
    """
    if name not in RECIPES:
        raise UnknownNameError(f"There is no recipe {name!r}; there are {', '.join(RECIPES)}.")
    known = {*REAL, *finders.DATA, "rendered", "ccp", "camvid", "camvid-val", "streets", "caltech101"}
    for key in data if name != "retrieval" else ():  # which reads any folder under any name
        if key.split(".")[0] not in known or (("." in key) and key.split(".")[1] not in TEACHERS):
            raise UnknownNameError(f"--data {key}=... is not known; there are {', '.join(sorted(known))}.")
    settings = settings or Settings()
    for setting, takers in TAKERS.items():
        if name not in takers and getattr(settings, setting) != getattr(Settings, setting):
            raise PartwiseError(f"The recipe {name} does not heed --{setting}; leave it out. {', '.join(takers)} do.")
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise PartwiseError("PyTorch finds no GPU that it can use here; leave --device out to train on the processor.")
    recipe = RECIPES[name](data, settings)
    return fit(recipe, run, resume=resume, stop_after=stop_after, device=settings.device, say=say)


def trunk(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """FEA NET on the people that are given, real and rendered, and on the things of Caltech-101 beside them."""
    size = settings.size or (256, 128)
    tables = _real(data, (1, 1))
    if "rendered" in data:
        tables.append(sources.rendered(data["rendered"], (1, 1)))
    if not tables:
        raise DatasetError(
            "The recipe trunk needs people; give --data market1501=DIR, --data cuhk03=DIR or --data rendered=DIR."
        )
    taught = [
        None if table.taught is None else {path.name: row for path, row in zip(table.paths, table.taught, strict=True)}
        for table in tables
    ]
    people = read_people([(table.paths, table.identities) for table in tables], size, taught)
    return TrunkRecipe(
        people,
        blends=join_blends([(table.blends, len(table.paths)) for table in tables]),
        things=_labelled("caltech101", data, size) if "caltech101" in data else None,
        augmentation=None if any(name in data for name in REAL) else DRAWN,
        epochs=settings.epochs or 60,
        start=settings.start,
        rate=settings.rate or 1e-3,
        teach=settings.teach,
        grow=settings.grow,
    )


def gpn(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """The whole network: real sets with their teachers, rendered people, parsed photos, and places without people."""
    return _bodies("gpn", _real(data, _mask(settings)), data, settings)


def gpn_synthetic(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """The whole network on what was rendered alone: nobody's picture is used."""
    drawn = {key: folder for key, folder in data.items() if key in ("rendered", "streets")}
    return _bodies("gpn-synthetic", [], drawn, settings)


def dpsnet(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """Scene parsing on CamVid's training split, and on its validation split if that is given as camvid-val."""
    return _scenes(data, settings, rival=False)


def lraspp(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """The rival of dpsnet, trained in the same way."""
    return _scenes(data, settings, rival=True)


def _scenes(data: Mapping[str, Path], settings: Settings, rival: bool) -> Recipe:
    if "camvid" not in data:
        raise DatasetError(
            "Scene parsing needs labelled frames; give --data camvid=DIR, and --data camvid-val=DIR to train on the "
            "validation split too."
        )
    learnt = scenes.camvid(data["camvid"], ["train"], SIZE)
    validation = None
    if "camvid-val" in data:
        learnt = scenes.join([learnt, scenes.camvid(data["camvid-val"], ["val"], SIZE)])
    elif (data["camvid"] / "val").is_dir():
        validation = parsing_figures(scenes.camvid(data["camvid"], ["val"], SIZE), device=settings.device)
    return SceneRecipe(
        learnt,
        scenes.streets(data["streets"], SIZE) if "streets" in data else None,
        epochs=settings.epochs or 150,
        rival=rival,
        start=settings.start,
        size=settings.size or (SETTLED_SIZE if settings.settle else SIZE),
        augmentation=scenes.SETTLED if settings.settle else None,
        rate=settings.rate or (2e-4 if settings.settle else 1e-3),
        grow=settings.grow,
        teach=settings.teach,
        validation=validation,
        device=settings.device,
    )


def rfcn(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """R-FCN on rendered streets, CamVid's objects and frames with a teacher's boxes; people of crops are pasted in."""
    return _finder(RFCNRecipe, data, settings)


def faster_rcnn(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """R-FCN's rival, on the same frames."""
    return _finder(FasterRCNNRecipe, data, settings)


def _finder(recipe: type[RFCNRecipe], data: Mapping[str, Path], settings: Settings) -> Recipe:
    groups = finders.groups(data)
    mask = (128, 64)
    people = _real({key: value for key, value in data.items() if not key.endswith(".embeddings")}, mask)
    if "rendered" in data:
        people.append(sources.rendered(data["rendered"], mask))
    windows = WindowSettings(size=settings.size) if settings.size else WindowSettings()
    return recipe(
        FrameSource(groups, windows, Cutouts(people) if people else None),
        epochs=settings.epochs or 40,
        validation=finders.validation(data),
        start=settings.start,
        rate=settings.rate or 1e-3,
    )


def rcnn(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """R-CNN on the same frames, a region at a time."""
    return RCNNRecipe(
        finders.groups(data),
        epochs=settings.epochs or 6,
        validation=finders.validation(data),
        start=settings.start,
        rate=settings.rate or 5e-4,
    )


def _mask(settings: Settings) -> tuple[int, int]:
    height, width = settings.size or (256, 128)
    return height // MASK_SHARE, width // MASK_SHARE


def _bodies(name: str, real: list[Table], data: Mapping[str, Path], settings: Settings) -> Recipe:
    if settings.frozen and settings.start is None:
        raise WeightsError("--frozen keeps the trunk as it is, and a random one is worth nothing; give --start FILE.")
    if settings.closer and settings.start is None:
        raise WeightsError("--closer keeps all else as it is, and random weights are worth nothing; give --start FILE.")
    standing = settings.frozen or settings.closer
    size, mask = settings.size or (256, 128), _mask(settings)
    tables = list(real)
    if "rendered" in data:
        tables.append(sources.rendered(data["rendered"], mask))
    if "ccp" in data:
        tables.append(sources.clothing_co_parsing(data["ccp"], mask))
    if not tables:
        raise DatasetError(
            f"The recipe {name} needs data; give --data rendered=DIR, and --data market1501=DIR for gpn."
        )
    people, bodies = sources.join([*tables, *_nobody(data, mask)], size)
    first_drawn = sum(len(table.paths) for table in real)
    has_identity = people.identities >= 0
    index = np.arange(len(people))
    somebody = index < sum(len(table.paths) for table in tables)
    groups = []
    if first_drawn:
        # A frozen trunk learns nobody anew: most pictures are then of people of whom everything is known.
        groups.append(Group(index[:first_drawn], people=5 if standing else 10, views=4))
    drawn = index[(index >= first_drawn) & has_identity]
    if len(drawn):
        groups.append(Group(drawn, people=16 if not first_drawn else 12 if standing else 7, views=4))
    for photos in (index[somebody & ~has_identity], index[~somebody]):
        if len(photos):
            groups.append(Group(photos, people=0, views=4))
    first = groups[0]
    return GPNRecipe(
        people,
        bodies,
        groups,
        steps_an_epoch=min(MOST_STEPS, max(1, len(first.index) // (max(1, first.people) * first.views))),
        name=name,
        epochs=settings.epochs or 40,
        start=settings.start,
        frozen=settings.frozen,
        closer=settings.closer,
        rate=settings.rate or (5e-4 if first_drawn else 1e-3),
        teach=settings.teach,
        augmentation=None if first_drawn else replace(DRAWN, erase=0.1, block=0.2, paste=0.5),
    )


def _nobody(data: Mapping[str, Path], mask: tuple[int, int]) -> list[Table]:
    """What shows nobody: places in streets and in CamVid's training frames, and things."""
    tables = []
    if "camvid" in data:
        tables.append(nobody.beside_people(camvid_objects(data["camvid"], "train"), mask, each=4))
    if "streets" in data:
        tables.append(nobody.beside_people(read_coco(data["streets"]), mask))
    if "caltech101" in data:
        tables.append(nobody.things(labelled_samples("caltech101", data["caltech101"]), mask))
    return tables


def _real(data: Mapping[str, Path], mask: tuple[int, int]) -> list[Table]:
    tables = []
    for name in REAL:
        if name not in data:
            continue
        samples = read_folder(data[name], name)
        if name == "market1501" and any(sample.split for sample in samples):
            samples = [sample for sample in samples if sample.split == "train"]
        samples = [sample for sample in samples if sample.identity not in (None, "-1", "0000")]
        if not samples:
            raise DatasetError(f"{data[name]} has no picture to train on; name the folder of {name}'s training split.")
        table = sources.unlabelled(samples, mask)
        embeddings, poses = data.get(f"{name}.embeddings"), data.get(f"{name}.poses")
        table = sources.with_teachers(table, embeddings, poses) if embeddings or poses else table
        if f"{name}.blends" in data:
            if embeddings is None:
                raise DatasetError(
                    f"Blends need what the teacher says of single pictures too; give --data {name}.embeddings=FILE."
                )
            table.blends = read_blends(data[f"{name}.blends"], [path.name for path in table.paths])
        tables.append(table)
    return tables


def retrieval(data: Mapping[str, Path], settings: Settings) -> Recipe:
    """A small retrieval network from scratch, on people and on things at once; see `finetune` for the other way."""
    arch = (settings.arch or "").removesuffix(".partwise")
    if f"{arch}.partwise" not in TRUNKS:
        raise UnknownNameError(
            f"--arch {settings.arch} is not trained from scratch; name alexnet, vggnet or googlenet."
        )
    sets = [name for name in data if not name.endswith(".embeddings")]
    if not sets:
        raise DatasetError("The recipe retrieval needs pictures; give --data market1501=DIR or --data NAME=DIR.")
    read, augmentations = [], []
    for name in sets:
        read.append(_labelled(name, data, settings.size or SMALL_SIZE))
        augmentations.append(Augmentation() if name in REAL else THINGS)
    options = Options(
        epochs=settings.epochs or 30,
        rate=settings.rate or 1e-3,
        metric=0.5 if settings.metric is None else settings.metric,
        teach=settings.teach,
        grow=settings.grow,
        whiten=settings.whiten,
    )
    pooling = settings.pooling or "gem"
    return RetrievalRecipe(f"{arch}.partwise", read, options, augmentations=augmentations, pooling=pooling)


def _labelled(name: str, data: Mapping[str, Path], size: tuple[int, int]) -> Labelled:
    """Pictures with their classes, and what a teacher said of them where that is given."""
    lessons = Lessons.read(data[f"{name}.embeddings"]) if f"{name}.embeddings" in data else None
    return read_labelled(labelled_samples(name, data[name]), size, lessons)


def labelled_samples(name: str, folder: Path) -> list[Sample]:
    """Pictures to learn classes from: the training part of a set that has one, else a folder a class."""
    samples = read_folder(folder, name if name in REAL else "auto")
    if any(sample.split == "train" for sample in samples):
        samples = [sample for sample in samples if sample.split == "train"]
    return samples


RECIPES: dict[str, Callable[[Mapping[str, Path], Settings], Recipe]] = {
    "trunk": trunk,
    "retrieval": retrieval,
    "gpn": gpn,
    "gpn-synthetic": gpn_synthetic,
    "dpsnet": dpsnet,
    "lraspp": lraspp,
    "rfcn": rfcn,
    "rcnn": rcnn,
    "faster-rcnn": faster_rcnn,
}
