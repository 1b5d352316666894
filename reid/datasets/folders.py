"""Folders of pictures: what is in them, how they are laid out, and every picture as a `Sample`."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from reid.datasets import names
from reid.datasets.sample import Sample
from reid.errors import DatasetError, UnknownNameError
from reid.images import is_image_name, looks_like_image

LAYOUTS: tuple[str, ...] = ("auto", "flat", "folders", "market1501", "cuhk03", "rendered", "corel", "camvid")

MANIFEST = "manifest.csv"
MARKET1501_SPLITS = {"query": "query", "bounding_box_test": "test", "bounding_box_train": "train"}
CAMVID_SPLITS = ("train", "val", "test")

# How many of a folder's names must be of one kind before it is taken for that kind unasked.
_MAJORITY = 0.9

OnSkip = Callable[[Path, str], None]


def read_folder(
    root: str | os.PathLike[str], layout: str = "auto", recursive: bool = True, on_skip: OnSkip | None = None
) -> list[Sample]:
    """Every picture of a folder, sorted by name, with what its layout says of it.

    Links are followed. A file is taken for a picture by its suffix, or else by its first bytes; hidden files are passed
    over silently. Where the folder has a `manifest.csv` (`name`; any of identity, camera, words, split, view),
    it tells what the layout leaves open.

    Args:
        root: the folder.
        layout: one of `LAYOUTS`.
            flat: nothing is known but the name.
            folders: the first folder under `root` is the identity or class.
            market1501: `root` holds query/, bounding_box_test/ or bounding_box_train/ (then only these are read), or
                pictures named as theirs. Junk ("-1") and distractors ("0000") keep these identities.
            cuhk03: names `PPPP_NN`; pictures in subfolders have the folder's path before their identity, since
                CUHK03's train and val number their identities apart.
            rendered: pictures directly in `root`, named as Market-1501's, beside manifest.csv and truth/.
            corel: the class is the number in the name divided by 100.
            camvid: the frames in train/, val/ and test/.
            auto: what `detect_layout` says.
        recursive: look into subfolders (for layouts that do not prescribe their own).
        on_skip: called with each file that is left out and why.

    Raises:
        DatasetError: no such folder, or it is not laid out as said.
        UnknownNameError: no such layout.
    """
    root = _folder(root)
    layout = _layout(root, layout)
    if layout == "market1501":
        samples = _market1501(root, recursive, on_skip)
    elif layout == "rendered":
        samples = _named(root, names.market1501, False, on_skip)
    elif layout == "cuhk03":
        samples = _cuhk03(root, recursive, on_skip)
    elif layout == "corel":
        samples = _named(root, names.corel, recursive, on_skip)
    elif layout == "camvid":
        samples = _camvid(root, on_skip)
    else:
        samples = [Sample(path, name) for name, path in walk(root, recursive, on_skip)]
        if layout == "folders":
            samples = [replace(s, identity=s.name.split("/")[0]) if "/" in s.name else s for s in samples]
    return _with_manifest(root, samples)


def detect_layout(root: str | os.PathLike[str]) -> str:
    """The layout a folder seems to have: one of `LAYOUTS` but "auto"; "flat" where nothing else fits.

    Raises:
        DatasetError: no such folder.
    """
    root = _folder(root)
    if (root / "truth").is_dir() and manifest_of(root) is not None:
        return "rendered"
    if any((root / split).is_dir() for split in MARKET1501_SPLITS):
        return "market1501"
    if (root / "test").is_dir() and (root / "testannot").is_dir():
        return "camvid"
    found = [name for name, _ in walk(root)]
    if found and _told(root).issuperset(found):
        return "flat"  # what a manifest says of every picture need not be guessed from their names
    stems = [PurePosixPath(name).stem for name in found]
    for layout, reader in (("market1501", names.market1501), ("cuhk03", names.cuhk03)):
        if stems and sum(reader(stem) is not None for stem in stems) >= _MAJORITY * len(stems):
            return layout
    in_folders = sum("/" in name for name in found)
    if in_folders:
        return "folders" if in_folders >= _MAJORITY * len(found) else "flat"
    # Many a camera or script numbers its files: only a whole set of full classes is taken for Corel.
    numbers = sorted(int(stem) for stem in stems if names.corel(stem))
    whole = len(numbers) == len(stems) >= 2 * names.COREL_CLASS_SIZE and len(stems) % names.COREL_CLASS_SIZE == 0
    return "corel" if whole and numbers == list(range(len(stems))) else "flat"


def walk(root: Path, recursive: bool = True, on_skip: OnSkip | None = None) -> list[tuple[str, Path]]:
    """The pictures under a folder as (name relative to it, path), sorted by name; links are followed, loops cut."""
    found: list[tuple[str, Path]] = []
    skip = on_skip or (lambda path, reason: None)

    def visit(folder: str, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        try:
            status = os.stat(folder)
            entries = list(os.scandir(folder))
        except OSError as error:
            return skip(Path(folder), f"the folder cannot be read: {error.strerror}")
        here = (status.st_dev, status.st_ino)
        if here in above:
            return skip(Path(folder), "a link back to a folder that it lies in")
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not _is_text(entry.name):
                skip(Path(entry.path), "its name is not valid UTF-8; rename it")
            elif entry.is_dir():
                if recursive:
                    visit(entry.path, f"{prefix}{entry.name}/", above | {here})
            elif not entry.is_file():
                skip(Path(entry.path), "a link to nothing" if entry.is_symlink() else "not a regular file")
            elif is_image_name(entry.name) or looks_like_image(entry.path):
                found.append((prefix + entry.name, Path(entry.path)))
            elif entry.name != MANIFEST:
                skip(Path(entry.path), "no picture")
        return None

    visit(os.fspath(root), "", frozenset())
    return sorted(found)


def _is_text(name: str) -> bool:
    """False for a name with bytes that stand for no character: neither a database nor JSON could hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def manifest_of(root: Path) -> Path | None:
    """The manifest of a folder: `manifest.csv` in it or in its truth/."""
    return next((path for path in (root / MANIFEST, root / "truth" / MANIFEST) if path.is_file()), None)


def read_table(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with a header, commas or semicolons between; header names in lower case, values stripped.

    Raises:
        DatasetError: it cannot be read, is not UTF-8, or lacks a needed column.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=";" if first.count(";") > first.count(",") else ",")
            header = [(field or "").strip().lower() for field in reader.fieldnames or []]
            reader.fieldnames = header
            rows = [
                {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)} for row in reader
            ]
    except UnicodeDecodeError:
        raise DatasetError(f"{path} is not UTF-8 text; save it as CSV with UTF-8.") from None
    except csv.Error as error:
        raise DatasetError(f"{path} cannot be read as CSV: {error}.") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    missing = [column for column in needed if column not in header]
    if missing:
        there = ", ".join(header) or "nothing"
        raise DatasetError(f"{path} needs a first line with {', '.join(needed)}; it has {there}.")
    return rows


def _folder(root: str | os.PathLike[str]) -> Path:
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root} is {'a file, not a folder' if root.exists() else 'not there'}.")
    return root


def _layout(root: Path, layout: str) -> str:
    if layout not in LAYOUTS:
        raise UnknownNameError(f"There is no layout {layout!r}; there are {', '.join(LAYOUTS)}.")
    return detect_layout(root) if layout == "auto" else layout


def _named(
    root: Path, reader: Callable[[str], names.Known | None], recursive: bool, on_skip: OnSkip | None
) -> list[Sample]:
    """Pictures with what a reader of names says; those with other names are kept, as nobody's."""
    return [Sample(path, name, *(reader(path.stem) or names.Known())) for name, path in walk(root, recursive, on_skip)]


def _market1501(root: Path, recursive: bool, on_skip: OnSkip | None) -> list[Sample]:
    splits = [folder for folder in MARKET1501_SPLITS if (root / folder).is_dir()]
    if not splits:
        split = MARKET1501_SPLITS.get(root.name, "")
        return [replace(s, split=split) for s in _named(root, names.market1501, recursive, on_skip)]
    return [
        replace(s, name=f"{folder}/{s.name}", split=MARKET1501_SPLITS[folder])
        for folder in sorted(splits)
        for s in _named(root / folder, names.market1501, False, on_skip)
    ]


def _cuhk03(root: Path, recursive: bool, on_skip: OnSkip | None) -> list[Sample]:
    samples = []
    for s in _named(root, names.cuhk03, recursive, on_skip):
        folder, _, _ = s.name.rpartition("/")
        samples.append(replace(s, identity=f"{folder}/{s.identity}", split=folder) if folder and s.identity else s)
    return samples


def _camvid(root: Path, on_skip: OnSkip | None) -> list[Sample]:
    splits = [split for split in CAMVID_SPLITS if (root / split).is_dir()]
    if not splits:
        raise DatasetError(f"{root} is not laid out as CamVid: it has none of {', '.join(CAMVID_SPLITS)}.")
    return [
        Sample(path, f"{split}/{name}", split=split)
        for split in sorted(splits)
        for name, path in walk(root / split, False, on_skip)
    ]


def _told(root: Path) -> set[str]:
    """The pictures whose identity or camera a manifest tells."""
    path = manifest_of(root)
    rows = [] if path is None else read_table(path, ("name",))
    return {row["name"] for row in rows if row.get("identity") or row.get("camera")}


def _with_manifest(root: Path, samples: list[Sample]) -> list[Sample]:
    path = manifest_of(root)
    if path is None:
        return samples
    rows = {row["name"]: row for row in read_table(path, ("name",))}
    return [
        replace(
            s,
            identity=s.identity or row.get("identity") or None,
            camera=s.camera or row.get("camera") or None,
            words=s.words or row.get("words", ""),
            split=s.split or row.get("split", ""),
            view=s.view or row.get("view", ""),
        )
        for s, row in ((s, rows.get(s.name, {})) for s in samples)
    ]
