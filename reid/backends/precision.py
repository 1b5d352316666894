"""The numbers networks compute with: bfloat16 where the processor multiplies it in hardware, else single precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any


@cache
def bf16_is_fast() -> bool:
    """True where the processor multiplies bfloat16 in hardware; elsewhere autocast would slow networks eightfold."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def autocast(kind: str = "cpu") -> AbstractContextManager[Any]:
    """bfloat16 autocast where it pays, nothing elsewhere. `kind`: of device, in PyTorch's words."""
    import torch

    return torch.autocast(kind, torch.bfloat16) if kind != "cpu" or bf16_is_fast() else nullcontext()
