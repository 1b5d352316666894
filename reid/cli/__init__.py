"""The command line: `python -m reid COMMAND ...`.

`--json` prints one JSON document on standard output; progress goes to standard error. Exit 0 on success, 2 on bad usage
or bad input with one line that says what and why. Each command imports what it needs when it runs, so that `--help` and
listing stay instant. A new command is a function and a few lines in `add` of the file whose subject it shares.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from reid import __version__
from reid.cli import data, finding, galleries, pictures, searching
from reid.cli.common import Commands, Parser
from reid.errors import PartwiseError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = parser().parse_args(arguments)
    if not sys.warnoptions:  # what libraries tell their developers is no news to a user
        warnings.simplefilter("ignore", FutureWarning)
    try:
        options.run(options)
        sys.stdout.flush()
    except PartwiseError as error:
        print(f"partwise: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("partwise: stopped; what was finished is kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough; Python must not try again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `run` of what it gives does the work."""
    whole = Parser(prog="partwise", description="Part-aware image retrieval for people and scenes.")
    whole.add_argument("--version", action="version", version=f"partwise {__version__}")
    commands = Commands(whole)
    for room in (pictures, finding, galleries, searching, data):
        room.add(commands)
    serve = commands.add("serve", _serve, "Open the web app.", as_json=False)
    serve.add_argument("--port", type=int, default=7860)
    return whole


def _serve(options: argparse.Namespace) -> None:
    from reid.ui import launch

    launch(port=options.port)
