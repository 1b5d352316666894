"""One small set of people and one of streets, rendered once for all tests here."""

from pathlib import Path

import pytest

from reid.rendering import render_people, render_streets


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_people(tmp_path_factory.mktemp("people"), 8, 6, seed=3, cameras=3, processes=1)


@pytest.fixture(scope="session")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_streets(tmp_path_factory.mktemp("streets"), 3, seed=3, size=(240, 320), processes=1)
