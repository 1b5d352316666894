"""An asset folder that holds skins alone."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from reid.errors import PartwiseError
from reid.rendering.assets import find_assets, skin_from_assets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clothes").mkdir()
    skin = np.full((64, 64, 3), (80, 120, 160), np.uint8)
    skin[:16] = (40, 60, 80)
    for name in ("young_lightskinned_female_diffuse", "old_darkskinned_male_diffuse"):
        (tmp_path / "skins" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "skins" / name / f"{name}.png"), skin)
    return tmp_path


def test_a_skin_is_what_deviates_from_its_own_tone(folder: Path) -> None:
    tint = skin_from_assets(find_assets(folder), np.random.default_rng(1), female=True, dark=False)
    assert tint is not None
    assert tint.shape == (256, 256, 3)
    assert np.allclose(tint[100:], 1.0)
    assert np.allclose(tint[:50], 0.5)


def test_a_skin_fits_its_person_or_there_is_none(folder: Path) -> None:
    assert skin_from_assets(find_assets(folder), np.random.default_rng(1), female=True, dark=True) is None


def test_a_damaged_skin_is_named(folder: Path) -> None:
    path = next(folder.glob("skins/old*/*.png"))
    path.write_bytes(b"no picture")
    with pytest.raises(PartwiseError, match=path.name):
        skin_from_assets(find_assets(folder), np.random.default_rng(1), female=False, dark=True)
