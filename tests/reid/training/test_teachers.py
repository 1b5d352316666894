"""What teachers are shown and how their answers come back; the teachers themselves are stand-ins."""

import numpy as np

from models.gpn.anatomy import JOINTS
from reid.datasets import Sample
from reid.training.sources import unlabelled, with_teachers
from reid.training.teachers import LANDMARKS, PERSON, ROOM, SQUARE, embeddings, pose


def test_embeddings_average_a_picture_and_its_mirror_image():
    shown = []

    def run(x: np.ndarray) -> np.ndarray:
        assert x.shape == (4, 3, *PERSON)
        shown.append(x.copy())
        return np.stack([x[:, 0, :, : PERSON[1] // 2].mean((1, 2)), x[:, 2].mean((1, 2))], 1) + 1e-3

    left_blue = np.zeros((64, 32, 3), np.uint8)
    left_blue[:, :16] = (0, 0, 200)
    red = np.full((64, 32, 3), (200, 0, 0), np.uint8)
    vectors = embeddings([left_blue, red, left_blue, red, red], run, batch=4)
    assert vectors.shape == (5, 2)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert shown[0][0, 0, 0, 0] == 200, "blue comes first"
    assert np.array_equal(shown[1], shown[0][..., ::-1])
    assert vectors[0] @ vectors[2] > 0.999
    assert vectors[0] @ vectors[1] < 0.5
    assert np.allclose(vectors[1], vectors[4])


def test_landmarks_and_silhouettes_come_back_in_the_pictures_frame(tmp_path):
    """A teacher that marks the middle of whatever is white, and takes that for the person."""

    def see(square):
        assert square.shape == (1, SQUARE, SQUARE, 3)
        white = square[0, ..., 0] > 0.5
        y, x = np.argwhere(white).mean(0) + 0.5
        landmarks = np.tile([x, y, 0, 9, 9], (LANDMARKS + 6, 1)).ravel()
        return landmarks, 0.9, np.where(white, 20.0, -20.0).astype(np.float32), np.zeros((39, 3))

    picture = np.zeros((128, 64, 3), np.uint8)
    picture[32:64, 16:32] = 255
    found = pose(picture, see)
    assert np.abs(found["joints"][:, :2] - [24 / 64, 48 / 128]).max() < 0.02
    assert (found["joints"][:, 2] > 0.99).all()
    assert ROOM > 1, "the whole picture lies within the square"
    inside = found["masks"][17:31, 9:15]
    assert (inside > 250).all()
    assert found["masks"].astype(int).sum() < 1.5 * 255 * 16 * 8

    np.savez(tmp_path / "poses.npz", names=np.array(["a.jpg"]), **{k: v[None] for k, v in found.items()})
    table = with_teachers(unlabelled([Sample(tmp_path / "a.jpg", "a.jpg")], (64, 32)), None, tmp_path / "poses.npz")
    assert table.joints.shape == (1, len(JOINTS), 3)
    assert (table.joints[..., 2] == 2).all()
    assert (table.masks[0, 17:31, 9:15] == 1).all()
