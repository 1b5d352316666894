"""A gallery as a zip file: everything in plain formats, nothing trusted on the way back.

In the file: `gallery.json` (format, name, recipes), `items.jsonl` (one item a line, in order), the pictures as
`pictures/<sha256><suffix>`, for each recipe `vectors/<hash>/{items,global,parts,visibility}.npy`, where `items` counts
the lines of `items.jsonl` from 0, and the codebooks learnt on the gallery. No path in the file is ever used as a path:
pictures are kept under the hash of their bytes.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from reid.embedding import Embeddings
from reid.errors import GalleryError, ImageError
from reid.galleries import files
from reid.galleries.database import WORD_SOURCES
from reid.galleries.gallery import Gallery
from reid.galleries.records import Item, NewItem
from reid.images import MAX_BYTES, image_size

FORMAT = 1
_BLOCK = 256  # rows of vectors in memory at a time
_ARRAYS = ("global", "parts", "visibility")
# Pictures do not compress, so a member that grows by more than this is a bomb; a little is always let through.
_MAX_GROWTH = 20
_ALWAYS = 50_000_000
_MAX_LINE = 4_000_000
_CODEBOOKS = "*.codebook.safetensors"
_CODEBOOK = re.compile(r"[a-z0-9-]{1,40}\.codebook\.safetensors")
_MAX_CODEBOOK = 4_000_000


def export_zip(gallery: Gallery, file: Path) -> Path:
    """Write the gallery; the file appears under its name when it is complete.

    Raises:
        GalleryError: a picture is missing or has changed since it was indexed, or the file cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:80]}.")
    except OSError as error:
        raise _unwritable(file, error) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as raw, zipfile.ZipFile(raw, "w") as archive, gallery.snapshot():
            items = gallery.items()
            recipes = gallery.recipes()
            head = {"format": FORMAT, "name": gallery.name, "items": len(items), "recipes": recipes}
            archive.writestr("gallery.json", json.dumps(head, ensure_ascii=False))
            lines = (json.dumps(_line(gallery, item), ensure_ascii=False) for item in items)
            archive.writestr("items.jsonl", "\n".join(lines), zipfile.ZIP_DEFLATED)
            _write_pictures(archive, gallery, items)
            places = {item.id: n for n, item in enumerate(items)}
            for recipe in recipes:
                _write_vectors(archive, gallery, recipe, places)
            for codebook in sorted(gallery.folder.glob(_CODEBOOKS)):
                archive.write(codebook, codebook.name)
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from error
    finally:
        part.unlink(missing_ok=True)
    return file


def name_in(file: Path) -> str:
    """The name the gallery had when it was exported.

    Raises:
        GalleryError: the file is no exported gallery.
    """
    with _Reader(file) as reader:
        return str(reader.head["name"])


def import_zip(gallery: Gallery, file: Path) -> None:
    """Fill an empty gallery from the file, in one transaction.

    Raises:
        GalleryError: the file is no exported gallery, is damaged, or holds more than it may.
    """
    with _Reader(file) as reader, gallery.transaction():
        ids = []
        for line in reader.lines():
            ids.append(_read_item(reader, gallery, line))
        if len(ids) != reader.head["items"]:
            raise reader.damaged(f"it announces {reader.head['items']} items and holds {len(ids)}")
        for recipe, backend in reader.head["recipes"].items():
            for chosen, embeddings in reader.vectors(recipe, len(ids)):
                gallery.put_vectors(recipe, [ids[n] for n in chosen], embeddings, backend=backend)
        reader.unpack_codebooks(gallery.folder)


# Writing


def _line(gallery: Gallery, item: Item) -> dict[str, Any]:
    line = {
        "name": item.name,
        "picture": _member(item),
        **{
            key: getattr(item, key)
            for key in ("sha256", "width", "height", "identity", "camera", "box", "frame", "time")
        },
        "words": gallery.words(item.id),
    }
    return {key: value for key, value in line.items() if value not in (None, {})}


def _member(item: Item) -> str:
    return f"pictures/{item.sha256}{files.suffix_of(item.path)}"


def _write_pictures(archive: zipfile.ZipFile, gallery: Gallery, items: list[Item]) -> None:
    missing = [item for item in items if not item.path.exists()]
    if missing:
        raise GalleryError(
            f"Gallery {gallery.name!r} cannot be exported: {len(missing)} of {len(items)} pictures are no longer where "
            f"they were (the first: {missing[0].path}); put them back or remove them from the gallery."
        )
    written = set()
    for item in items:
        if _member(item) not in written:
            data = item.path.read_bytes()
            if files.sha256(data) != item.sha256:
                raise GalleryError(
                    f"Gallery {gallery.name!r} cannot be exported: {item.path} has changed since it was indexed; "
                    "index its folder again."
                )
            archive.writestr(_member(item), data)
            written.add(_member(item))


def _write_vectors(archive: zipfile.ZipFile, gallery: Gallery, recipe: str, places: dict[int, int]) -> None:
    ids = gallery.vector_ids(recipe)
    _, sample = gallery.vectors(recipe, ids[:1])
    with _member_file(archive, recipe, "items") as out:
        np.lib.format.write_array(out, np.array([places[i] for i in ids.tolist()], np.int64))
    for array in _ARRAYS:
        shape = len(ids), *_array(sample, array).shape[1:]
        with _member_file(archive, recipe, array) as out:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for start in range(0, len(ids), _BLOCK):
                _, block = gallery.vectors(recipe, ids[start : start + _BLOCK])
                out.write(np.ascontiguousarray(_array(block, array), "<f4").tobytes())


def _array(embeddings: Embeddings, name: str) -> np.ndarray:
    array: np.ndarray = getattr(embeddings, "global_" if name == "global" else name)
    return array


def _member_file(archive: zipfile.ZipFile, recipe: str, array: str) -> IO[bytes]:
    return archive.open(f"vectors/{recipe}/{array}.npy", "w", force_zip64=True)


def _unwritable(file: Path, error: OSError) -> GalleryError:
    return GalleryError(f"{file} cannot be written: {error.strerror or error}. Choose another place or make room.")


# Reading


class _Reader:
    """A zip file that is read within a budget of bytes; whatever is wrong with it becomes one sentence."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> _Reader:
        with self._errors():
            self._archive = zipfile.ZipFile(self._file)
            self._left = _ALWAYS + _MAX_GROWTH * self._file.stat().st_size
        try:
            self.head: dict[str, Any] = self._read_head()
        except BaseException:
            self._archive.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._archive.close()

    def damaged(self, why: str) -> GalleryError:
        return GalleryError(f"{self._file} cannot be imported: {why}.")

    def read(self, member: str, limit: int) -> bytes:
        """A whole member of at most `limit` bytes."""
        with self._errors(), self._archive.open(member) as source:
            data = source.read(limit + 1)
            self._spend(len(data))
            if len(data) > limit:
                raise self.damaged(f"{member} in it is larger than {limit / 1e6:g} MB")
            return data

    def lines(self) -> Iterator[dict[str, Any]]:
        """The items, checked."""
        with self._errors(), self._archive.open("items.jsonl") as source:
            while text := source.readline(_MAX_LINE):
                self._spend(len(text))
                try:
                    yield _checked(json.loads(text))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                    raise self.damaged(f"an item in it is not well-formed ({error})") from error

    def vectors(self, recipe: str, items: int) -> Iterator[tuple[list[int], Embeddings]]:
        """Blocks of item places and embeddings."""
        with self._errors(), ExitStack() as stack:
            sources = [
                stack.enter_context(self._archive.open(f"vectors/{recipe}/{array}.npy"))
                for array in ("items", *_ARRAYS)
            ]
            shapes = [_npy_shape(source, "<f4" if n else "<i8") for n, source in enumerate(sources)]
            count, dim, parts, part_dim = *shapes[1], *shapes[2][1:]
            if shapes != [(count,), (count, dim), (count, parts, part_dim), (count, parts)] or count > items:
                raise ValueError("its vectors are not as many as its items")
            seen: set[int] = set()
            for start in range(0, count, _BLOCK):
                size = min(_BLOCK, count - start)
                places, *arrays = (
                    self._rows(source, (size, *shape[1:])) for source, shape in zip(sources, shapes, strict=True)
                )
                chosen = places.tolist()
                seen.update(chosen)
                if len(seen) != start + size or min(chosen) < 0 or max(chosen) >= items:
                    raise ValueError("its vectors are of items that are not in it")
                yield chosen, _plausible(Embeddings(*arrays))

    def unpack_codebooks(self, folder: Path) -> None:
        """Write the codebooks beside the catalogue; what they hold is checked whenever they are read."""
        for name in filter(_CODEBOOK.fullmatch, self._archive.namelist()):
            data = self.read(name, _MAX_CODEBOOK)
            with self._errors():
                (folder / name).write_bytes(data)

    def _rows(self, source: IO[bytes], shape: tuple[int, ...]) -> np.ndarray:
        dtype = np.dtype("<i8" if len(shape) == 1 else "<f4")
        size = dtype.itemsize * math.prod(shape)
        self._spend(size)
        data = source.read(size)
        if len(data) != size:
            raise ValueError("it ends early")
        return np.frombuffer(data, dtype).reshape(shape)

    def _read_head(self) -> dict[str, Any]:
        if "gallery.json" not in self._archive.namelist():
            raise GalleryError(
                f"{self._file} is no exported gallery: there is no gallery.json in it. "
                "To make a gallery of a zip of pictures, unpack it and index the folder."
            )
        try:
            head = json.loads(self.read("gallery.json", _MAX_LINE))
            if int(head["format"]) > FORMAT:
                raise GalleryError(f"{self._file} was made by a newer version of Partwise; update to import it.")
            recipes = {str(k): str(v) for k, v in head["recipes"].items()}
            return {"name": str(head["name"]), "items": int(head["items"]), "recipes": recipes}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.damaged("its gallery.json is not well-formed") from error

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.damaged("it unpacks to far more than its size, so it is not trusted")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except GalleryError:
            raise
        except FileNotFoundError:
            raise self.damaged("it does not exist") from None
        except OSError as error:
            raise self.damaged(error.strerror or str(error)) from error
        except KeyError as error:
            raise self.damaged(f"a part of it is missing ({error.args[0] if error.args else error})") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, RuntimeError) as error:
            raise self.damaged(f"it is no zip file, or a damaged one ({error})") from error
        except (ValueError, MemoryError) as error:
            raise self.damaged(str(error) or "it is damaged") from error


def _plausible(embeddings: Embeddings) -> Embeddings:
    """The embeddings, if they are numbers of the size they must have."""
    for vectors in (embeddings.global_, embeddings.parts):
        if not (np.linalg.norm(vectors, axis=-1) < 1.001).all():  # NaN is not less either
            raise ValueError("it holds vectors that are not of unit length")
    if not ((embeddings.visibility >= 0) & (embeddings.visibility <= 1)).all():
        raise ValueError("it holds visibilities outside 0..1")
    return embeddings


def _npy_shape(source: IO[bytes], dtype: str) -> tuple[int, ...]:
    """The shape an .npy member announces; the source then stands at its first number."""
    if np.lib.format.read_magic(source) == (1, 0):
        shape, fortran, found = np.lib.format.read_array_header_1_0(source)
        if not fortran and found == np.dtype(dtype) and min(shape, default=0) >= 0:
            return tuple(shape)
    raise ValueError("its vectors are in a format that is not read")


def _checked(line: dict[str, Any]) -> dict[str, Any]:
    """An item line with every field of the type it must have; unknown fields are left out."""

    def text(key: str) -> str | None:
        value = line.get(key)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{key} is no text")
        return value

    box = line.get("box")
    name, picture, sha256 = text("name"), text("picture"), text("sha256")
    if name is None or picture is None or sha256 is None:
        raise ValueError("a name, picture or sha256 is missing")
    if not picture.startswith("pictures/"):
        raise ValueError("a picture lies elsewhere")
    return {
        "name": name,
        "picture": picture,
        "sha256": sha256,
        "width": int(line["width"]),
        "height": int(line["height"]),
        "identity": text("identity"),
        "camera": text("camera"),
        "box": None if box is None else tuple(float(v) for v in box),
        "frame": None if line.get("frame") is None else int(line["frame"]),
        "time": None if line.get("time") is None else float(line["time"]),
        "words": {source: str(line.get("words", {}).get(source, "")) for source in WORD_SOURCES},
    }


def _read_item(reader: _Reader, gallery: Gallery, line: dict[str, Any]) -> int:
    data = reader.read(line["picture"], MAX_BYTES)
    if files.sha256(data) != line["sha256"]:
        raise reader.damaged(f"the picture {line['name']} in it is not the one that was exported")
    if line["frame"] is None:
        try:
            line["width"], line["height"] = image_size(data, name=line["name"])
        except ImageError as error:
            raise reader.damaged(str(error).rstrip(".")) from error
    item = NewItem(
        path=line["picture"],
        bytes=len(data),
        stamp="",
        **{
            key: line[key]
            for key in ("name", "sha256", "width", "height", "identity", "camera", "box", "frame", "time")
        },
    )
    (put,) = gallery.put_items([gallery.keep(item, data)], again=True)
    for source, words in line["words"].items():
        if words:
            gallery.set_words(put.id, words, source)
    return put.id
