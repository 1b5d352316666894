"""What all commands share: the parser that fails in one line, values with a meaning, JSON, warnings and progress."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from reid.errors import PartwiseError

if TYPE_CHECKING:
    from reid.galleries import Gallery


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


class Commands:
    """Where the files of this folder enter their commands.

    Args:
        parser: of the whole command line.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)

    def add(
        self, name: str, run: Callable[[argparse.Namespace], None], text: str, *, as_json: bool = True
    ) -> argparse.ArgumentParser:
        """A new command's parser, for its own arguments; `as_json` gives it `--json`."""
        sub: argparse.ArgumentParser = self._parsers.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        if as_json:
            add_json(sub)
        return sub


def add_json(parser: argparse.ArgumentParser, **settings: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output", **settings)


def positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return number


def part_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        number = float(weight)
    except ValueError:
        number = -1.0
    if not name or not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=WEIGHT with a weight from 0 up")
    return name, number


def like(text: str) -> tuple[tuple[str, ...], Path]:
    names, _, path = text.partition("=")
    parts = tuple(filter(None, names.split(",")))
    if not parts or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not PART[,PART]=IMAGE")
    return parts, Path(path)


def named_path(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(path)


def size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if (
        not (height.isdigit() and width.isdigit())
        or int(height) % 16
        or int(width) % 16
        or not int(height) * int(width)
    ):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in multiples of 16, e.g. 256x128")
    return int(height), int(width)


def print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, allow_nan=False))


def warn_file(path: Path, why: str) -> None:
    print(f"left out {path}: {why}", file=sys.stderr)


def check_able(backend: str, ability: str) -> None:
    """Refuse a backend that does not embed, find, parse or pose, before anything is made for it.

    Raises:
        UnknownNameError: no such backend.
        PartwiseError: it is not able.
    """
    from reid import backends

    card = backends.card(backend)
    if ability not in card.does:
        able = ", ".join(other.name for other in backends.cards() if ability in other.does)
        raise PartwiseError(f"{card.name} does not {ability}; backends that do: {able or 'none yet'}.")


def open_gallery(name: str) -> Gallery:
    from reid.galleries import Library

    return Library().open(name)


class progress_bar:  # noqa: N801 - used like a function
    """A progress bar on standard error, as a callable that takes (done, total)."""

    def __init__(self, text: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=text, unit=" pictures", file=sys.stderr, disable=None, leave=False)

    def __call__(self, done: int, total: int) -> None:
        if self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> progress_bar:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()
