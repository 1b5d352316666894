"""Where things are kept on this machine, and whether it may go out for more."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """`$PARTWISE_DATA`, or else the user's data folder."""
    if os.environ.get("PARTWISE_DATA"):
        return Path(os.environ["PARTWISE_DATA"]).expanduser()
    from platformdirs import user_data_dir

    return Path(user_data_dir("partwise", appauthor=False))


def offline() -> bool:
    """True where PARTWISE_OFFLINE or HF_HUB_OFFLINE says that nothing is to be fetched."""
    said = (os.environ.get(name, "") for name in ("PARTWISE_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value.strip().lower() not in ("", "0", "false", "no", "off") for value in said)
