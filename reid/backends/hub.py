"""`hub:OWNER/REPOSITORY[@REVISION]`: one of this project's networks out of the Hub; and `push`, which puts one there.

Only config.json and model.safetensors are read. Where no revision is named, the first use writes down which one it was
(`pins.json` in the data folder), and later uses take that one.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reid.backends.registry import Backend, add_source, get
from reid.backends.retrieval import RetrievalNetwork, assemble
from reid.backends.saved import CONFIG, WEIGHTS, NetworkConfig, class_of, packed
from reid.backends.weights import WEIGHTS as SHIPPED_FOLDER
from reid.errors import PartwiseError, UnknownNameError, WeightsError
from reid.places import data_folder, offline

if TYPE_CHECKING:
    from reid.backends.hub_network import PartwiseNetwork

PREFIX = "hub:"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def hub_files(repository: str, revision: str | None, names: tuple[str, ...]) -> tuple[dict[str, Path], str]:
    """Files of a repository, from the cache or (unless offline) from the Hub, all of one commit.

    Args:
        repository: `OWNER/NAME`.
        revision: a commit, tag or branch; None for the pinned one, or else the newest, which is then pinned.
        names: which files.

    Returns:
        Paths by name, and the commit (40 hex digits).

    Raises:
        WeightsError: one cannot be had; the text says why.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError

    wanted = revision or pins().get(repository)
    commit, found = wanted, {}
    try:
        for name in names:
            found[name] = Path(hf_hub_download(repository, name, revision=commit, local_files_only=offline()))
            # .../snapshots/COMMIT/NAME: the first file settles the commit for the rest.
            commit = found[name].parts[-1 - len(Path(name).parts)]
    except (OSError, ValueError, HFValidationError) as error:  # the Hub's own errors are kinds of these
        where = f" at {wanted}" if wanted else ""
        state = "nothing may be fetched (offline)" if offline() else "the Hub says: " + str(error).split("\n")[0]
        raise WeightsError(
            f"{repository}{where} cannot be had: it is not whole in the cache, and {state}. Names and revisions are "
            "case-sensitive; weights other than safetensors are not read."
        ) from error
    assert commit is not None
    if revision is None and wanted is None:
        _pin(repository, commit)
    return found, commit


def pins() -> dict[str, str]:
    """Repository -> the commit that is used where none is named."""
    try:
        said = json.loads((data_folder() / "pins.json").read_text(encoding="utf-8"))
        return {str(k): str(v) for k, v in said.items() if _COMMIT.fullmatch(str(v))}
    except (OSError, ValueError, AttributeError):
        return {}


def _pin(repository: str, commit: str) -> None:
    path = data_folder() / "pins.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False, encoding="utf-8") as file:
            json.dump({**pins(), repository: commit}, file, indent=1, sort_keys=True)
        os.replace(file.name, path)
    except OSError as error:
        raise WeightsError(
            f"The revision of {repository} cannot be written down in {path}: {error.strerror}."
        ) from error


def split_revision(name: str) -> tuple[str, str | None]:
    """`NAME@REVISION` -> both; the revision is None where none is named."""
    base, at, revision = name.partition("@")
    return (base, revision) if at else (name, None)


def _find(name: str) -> type[Backend] | None:
    if not name.startswith(PREFIX):
        return None
    repository, revision = split_revision(name.removeprefix(PREFIX))
    if not _REPOSITORY.fullmatch(repository) or revision == "":
        raise UnknownNameError(f"{name!r} is no model of the Hub; write hub:OWNER/REPOSITORY, or that and @REVISION.")
    files, commit = hub_files(repository, revision, (CONFIG, WEIGHTS))
    found = class_of(name, files[CONFIG].parent)
    card = replace(found.card, weights=f"{repository} at {commit[:12]}")
    return type("HubNetworkOf", (found,), {"card": card})


add_source(_find)


def packed_backend(name: str) -> PartwiseNetwork:
    """A retrieval network, ready to be saved or pushed.

    Raises:
        PartwiseError: the backend is no retrieval network, or not ready.
    """
    backend = get(name)
    if not isinstance(backend, RetrievalNetwork):
        raise PartwiseError(f"{backend.card.name} is no retrieval network; only those are pushed.")
    net = assemble(backend.network, backend.state(), backend.card.name, pooling=backend.pooling)
    whitened = None if net.whitening is None else net.dim
    return packed(net, NetworkConfig.of(backend, whitened=whitened, about=_about(backend)))


def push(name: str, repository: str, *, private: bool = False) -> str:
    """Upload a retrieval network with its model card; returns where it is.

    Args:
        name: the backend's.
        repository: `OWNER/NAME` on the Hub, made where it is not there.
        private: True shows it to its owner alone.

    Raises:
        PartwiseError: it cannot be uploaded; the text says why.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise PartwiseError(f"{repository!r} is no repository of the Hub; write OWNER/NAME.")
    network = packed_backend(name)
    if offline():
        raise PartwiseError(f"{name} is not pushed: PARTWISE_OFFLINE or HF_HUB_OFFLINE says that nothing goes out.")
    try:
        return str(network.push_to_hub(repository, private=private, commit_message=f"Upload {name}"))
    except (OSError, ValueError) as error:  # no network, no token, no right to write: the Hub's errors are of these
        reason = str(error).strip().split("\n")[0]
        raise PartwiseError(
            f"{name} cannot be pushed to {repository}: {reason}. Log in with: hf auth login."
        ) from error


def _about(backend: RetrievalNetwork) -> str:
    """The text of the model card: the one beside the weights, or that of the folder they lie in."""
    weights = Path(str(backend.card.weights))
    for card in (SHIPPED_FOLDER / f"{weights.stem}.md", weights.parent / "README.md"):
        if card.is_file():
            text = card.read_text(encoding="utf-8")
            return text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text
    return f"Terms of the weights: {backend.card.licence}."
