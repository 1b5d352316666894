"""How long one waits before anything happens: importing the library, listing, and the app until its page answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMES = 3
GIVE_UP = 120.0


def main() -> None:
    print("| what | measured |")
    print("| --- | --- |")
    print(f"| `import reid` | {_best(['-c', 'import reid']):.2f} s |")
    print(f"| `python -m reid --help` | {_best(['-m', 'reid', '--help']):.2f} s |")
    print(f"| `python -m reid backends` | {_best(['-m', 'reid', 'backends']):.2f} s |")
    print(f"| the app until its page answers, first start | {_app():.1f} s |")


def _best(arguments: list[str]) -> float:
    """Seconds of a new Python process, the best of a few."""
    return min(_seconds(arguments) for _ in range(TIMES))


def _seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _app() -> float:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        started = time.perf_counter()
        environment = os.environ | {"PARTWISE_DATA": data, "GRADIO_TEMP_DIR": data}
        app = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )
        try:
            while time.perf_counter() - started < GIVE_UP:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).close()
                    return time.perf_counter() - started
                except OSError:
                    time.sleep(0.05)
            raise RuntimeError(f"the app did not answer within {GIVE_UP:.0f} seconds")
        finally:
            app.terminate()
            app.wait()


if __name__ == "__main__":
    main()
