"""Uploaded files made ready for indexing: zips unpacked, loose pictures gathered, everything named that is left out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

from reid.datasets import Sample, read_folder, read_words_csv, read_zip
from reid.errors import DatasetError


@dataclass
class Upload:
    """What an upload brought.

    Attributes:
        folder: where it lies while it is worked on.
        samples: the pictures, named as they were called.
        words: words by picture name, from CSV files that came along.
        skipped: a sentence for each file that was left out.
    """

    folder: Path
    samples: list[Sample] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def relative(self, sentence: str) -> str:
        """The sentence with file names as the user knows them."""
        for part in sorted((p for p in self.folder.iterdir()), reverse=True):
            sentence = sentence.replace(f"{part}/", "")
        return sentence


def is_exported(file: Path) -> bool:
    """Whether a file is the zip of an exported gallery, by what lies in it."""
    try:
        with ZipFile(file) as archive:
            return {"gallery.json", "items.jsonl"} <= set(archive.namelist())
    except (BadZipFile, OSError):
        return False


@contextmanager
def staged(files: Sequence[Path], layout: str, most: int) -> Iterator[Upload]:
    """Loose files and zips as samples, in a folder that is gone afterwards.

    Args:
        files: as they were uploaded; a zip is told by its content.
        layout: one of `reid.datasets.LAYOUTS`, for the loose files together and for each zip.
        most: how many pictures are taken.

    Raises:
        DatasetError: a zip is damaged or refused, or not laid out as said.
    """
    with tempfile.TemporaryDirectory(prefix="partwise-upload-") as name:
        upload = Upload(Path(name).resolve())
        loose = upload.folder / "0"
        loose.mkdir()
        roots = [loose]
        for number, file in enumerate(files, start=1):
            if is_zipfile(file):
                roots.append(upload.folder / str(number))
                read_zip(file, roots[-1], on_skip=lambda name, why: upload.skipped.append(f"{name}: {why}."))
                roots[-1].mkdir(exist_ok=True)
            else:
                _link(file, loose)
        for root in roots:
            _gather(upload, root, layout)
        if len(upload.samples) > most:
            upload.skipped.append(f"Only the first {most:,} of {len(upload.samples):,} pictures are taken at a time.")
            del upload.samples[most:]
        yield upload


def _gather(upload: Upload, root: Path, layout: str) -> None:
    """Everything that one folder of the upload brings."""
    for table in root.rglob("*.csv"):
        with suppress(DatasetError):  # a table without words is none of ours, and read_folder reads manifests
            upload.words |= read_words_csv(table)

    def skip(path: Path, why: str) -> None:
        if path.suffix.lower() != ".csv":
            upload.skipped.append(f"{path.relative_to(root)}: {why}.")

    upload.samples += read_folder(root, layout, on_skip=skip)


def _link(file: Path, folder: Path) -> None:
    target = folder / file.name
    number = 2
    while target.exists():
        target = folder / f"{file.stem}-{number}{file.suffix}"
        number += 1
    try:
        target.symlink_to(file.resolve())
    except OSError:  # file systems without links
        shutil.copyfile(file, target)
