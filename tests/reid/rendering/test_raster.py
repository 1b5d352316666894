"""Projection and the z-buffer, for the eye and for the sun; and the joints of a pose."""

from dataclasses import replace

import numpy as np
import pytest

from reid.rendering import materials as m
from reid.rendering.body import load_body
from reid.rendering.mesh import Mesh, part, skin
from reid.rendering.paint import Camera, Light, look, shadow_of, z_buffer
from reid.rendering.raster import project
from reid.rendering.shading import lit_share

EYE = look(np.array([0.0, 0.0, 1.0]), 0.0, 0.0, 0.0, 20.0, (16.0, 16.0))


def _surface() -> tuple[np.ndarray, np.ndarray]:
    surface = m.Materials()
    surface.add(m.PLAIN, (0.5, 0.5, 0.5))
    return surface.table()


def _square(away: float, half: float, closed: bool = False, flipped: bool = False) -> Mesh:
    """Upright, square to the view, its front towards the eye."""
    corners = np.array(
        [[-half, away, 1 - half], [half, away, 1 - half], [half, away, 1 + half], [-half, away, 1 + half]]
    )
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return part(corners, faces[:, ::-1] if flipped else faces, 0, 1, closed=closed)


def _seen(mesh: Mesh, camera: Camera = EYE) -> np.ndarray:
    screen, _ = project(mesh.vertices, mesh.cut, camera.matrix())
    return z_buffer(mesh, _surface(), screen, (0, 0, 32, 32), 1)[1]


def test_the_screen_is_where_the_camera_projects_to() -> None:
    camera = look(np.array([1.0, -2.0, 2.5]), 0.3, 0.2, 0.05, 700.0, (320.0, 240.0))
    points = np.random.default_rng(1).uniform([-2, 4, 0], [2, 9, 2], (50, 3)).astype(np.float32)
    screen, bounds = project(points, np.ones(50, np.float32), camera.matrix(2))
    x, y, z = camera.project(points).T
    assert np.allclose(screen[:, 0], 2 * x, atol=1e-2)
    assert np.allclose(screen[:, 1], 2 * y, atol=1e-2)
    assert np.allclose(screen[:, 2], 1 / z, rtol=1e-5)
    assert np.allclose(bounds, [2 * x.min(), 2 * y.min(), 2 * x.max(), 2 * y.max()], atol=1e-2)


def test_what_is_behind_the_eye_is_not_seen() -> None:
    assert (_seen(_square(-3.0, 1.0)) < 0).all()


def test_the_nearer_triangle_hides_the_farther() -> None:
    near, far = _square(2.0, 0.5), _square(4.0, 2.0)
    both = Mesh(
        **{
            key: np.concatenate([getattr(near, key), getattr(far, key) + (4 if key == "faces" else 0)])
            for key in (
                "vertices",
                "faces",
                "coords",
                "material",
                "label",
                "cut",
                "loose",
                "outward",
                "closed",
                "instance",
            )
        }
    )
    seen = _seen(both)
    assert set(seen[12:20, 12:20].ravel()) == {0, 1}
    assert set(np.unique(seen[7:25, 7:25])) == {0, 1, 2, 3}


def test_a_cut_ends_where_its_distance_is_naught() -> None:
    mesh = _square(2.0, 1.0)
    seen = _seen(replace(mesh, cut=np.array([-1, 1, 1, -1], np.float32)))
    assert (seen[10:22, 8:15] < 0).all()
    assert (seen[10:22, 17:24] >= 0).all()


@pytest.mark.parametrize(
    ("closed", "flipped", "drawn"), [(True, False, True), (True, True, False), (False, True, True)]
)
def test_closed_faces_are_drawn_from_the_front_alone(closed: bool, flipped: bool, drawn: bool) -> None:
    assert (_seen(_square(2.0, 1.0, closed, flipped)) >= 0).any() == drawn


@pytest.mark.parametrize("closed", [False, True])
def test_the_sun_is_shut_out_behind_what_it_meets(closed: bool) -> None:
    light = Light(np.array([0.0, -0.6, 0.8]), np.ones(3), np.ones(3), np.ones(3))
    mesh = _square(5.0, 1.0, closed)
    shadow, frame = shadow_of(mesh, _surface(), light, 64)
    assert lit_share(shadow, frame, 0.0, 5.0 + 0.6, 1.0 - 0.8) == 0.0
    assert lit_share(shadow, frame, 0.0, 5.0 - 0.6, 1.0 + 0.8) == 1.0
    assert lit_share(shadow, frame, 3.0, 5.0 + 0.6, 1.0 - 0.8) == 1.0


def test_joints_taken_by_bone_are_those_of_the_skinned_vertices() -> None:
    body = load_body()
    vertices = body.template
    rng = np.random.default_rng(2)
    transforms = (np.eye(3, 4) + rng.normal(0, 0.1, (len(body.bones), 3, 4))).astype(np.float32)
    still = np.zeros(len(vertices), np.float32)
    posed = skin(vertices, body.weights, body.influences, transforms, still, np.zeros_like(vertices), 0.0)
    joints = np.einsum("brk,bjk->jr", transforms, body.joint_shares(vertices))
    assert np.abs(joints - body.joints(posed)).max() < 1e-4
