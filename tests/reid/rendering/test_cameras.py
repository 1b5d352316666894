"""Fixed cameras: there is always room for somebody to walk before them."""

from pathlib import Path

import numpy as np

from reid.rendering.cameras import LEAST_ROOM, make_camera


def test_a_camera_without_room_is_set_up_anew() -> None:
    camera = make_camera(7, 19)  # its first set-up stands before a wall
    assert camera.attempt > 0
    assert camera.room() >= LEAST_ROOM


def test_a_kept_camera_is_the_one_that_was_drawn(tmp_path: Path) -> None:
    camera = make_camera(7, 19)
    camera.save(tmp_path / "19.npz")
    again = make_camera(7, 19, tmp_path / "19.npz")
    assert again.attempt == camera.attempt
    assert np.array_equal(again.rgb, camera.rgb)
    assert np.array_equal(again.view.matrix(), camera.view.matrix())
    assert again.film.exposure == camera.film.exposure
