"""Importing the library is free: what is heavy comes in when it is asked for."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "gradio", "cv2", "faiss", "mahotas", "numba")


@pytest.mark.parametrize("module", ["reid", "reid.backends", "reid.images", "reid.galleries", "reid.cli"])
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded
    assert not set(HEAVY) & set(loaded)
