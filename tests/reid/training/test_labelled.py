import numpy as np
import pytest

from reid import backends
from reid.datasets import read_folder
from reid.errors import DatasetError
from reid.training.labelled import WHOLE, Lessons, cut, draw_box, hold_out, read_labelled, teach
from tests.reid.training.shapes import draw


@pytest.fixture
def folder(tmp_path):
    return draw(tmp_path / "set", {"a": 3, "b": 2})


def test_pictures_are_read_with_their_classes(folder):
    (folder / "b" / "broken.jpg").write_bytes(b"no picture")
    (folder / "loose.png").write_bytes((folder / "a" / "000.png").read_bytes())  # of no class
    failed = []
    found = read_labelled(read_folder(folder, "folders"), (32, 24), on_error=lambda path, why: failed.append(path.name))
    assert found.pictures.shape == (5, 32, 24, 3)
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    assert failed == ["broken.jpg"]


def test_nothing_to_learn_from_is_an_error(folder):
    flat = read_folder(folder, "flat")
    with pytest.raises(DatasetError, match="known class"):
        read_labelled(flat, (8, 8))


class TestTeacher:
    def test_a_student_sees_the_cut_outs_that_the_teacher_saw(self, folder, tmp_path):
        samples = read_folder(folder, "folders")
        teacher = backends.get("hsv-stripes")
        lessons = teach(samples, teacher, 3, lambda done, total: None)
        assert lessons.names.tolist()[:4] == ["a/000.png"] * 3 + ["a/001.png"]
        np.testing.assert_array_equal(lessons.boxes[0], WHOLE)
        np.savez(tmp_path / "t.npz", names=lessons.names, boxes=lessons.boxes, vectors=lessons.vectors)
        again = Lessons.read(tmp_path / "t.npz")
        found = read_labelled(samples, (32, 32), again)
        assert len(found) == 15
        np.testing.assert_array_equal(found.taught, lessons.vectors)
        # The whole picture's row is the whole picture's vector.
        np.testing.assert_allclose(teacher.embed([found.pictures[0]]).global_[0], found.taught[0], atol=1e-5)

    def test_a_file_without_boxes_is_about_whole_pictures(self, folder, tmp_path):
        samples = read_folder(folder, "folders")
        names = [s.path.name + "" if s.identity == "x" else s.name for s in samples]
        np.savez(tmp_path / "t.npz", names=np.array(names), vectors=np.eye(5, dtype=np.float32))
        found = read_labelled(samples, (8, 8), Lessons.read(tmp_path / "t.npz"))
        np.testing.assert_array_equal(found.taught, np.eye(5))

    def test_a_picture_it_was_not_asked_about_is_named(self, folder, tmp_path):
        np.savez(tmp_path / "t.npz", names=np.array(["a/000.png"]), vectors=np.ones((1, 4)))
        with pytest.raises(DatasetError, match=r"4 pictures, a/001\.png"):
            read_labelled(read_folder(folder, "folders"), (8, 8), Lessons.read(tmp_path / "t.npz"))

    def test_another_file_is_refused(self, tmp_path):
        (tmp_path / "t.npz").write_bytes(b"what")
        with pytest.raises(DatasetError, match=r"no \.npz"):
            Lessons.read(tmp_path / "t.npz")


def test_boxes_lie_inside_and_cut_what_they_say():
    rng = np.random.default_rng(0)
    picture = np.arange(40 * 60 * 3).reshape(40, 60, 3)
    for _ in range(50):
        x0, y0, x1, y1 = draw_box(rng)
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1
        part = cut(picture, (x0, y0, x1, y1))
        assert 0.15 < part.shape[0] * part.shape[1] / (40 * 60) < 0.9
    assert cut(picture, WHOLE).shape == picture.shape
    assert cut(picture, (0.999, 0.999, 1.0, 1.0)).size == 3


class TestHoldOut:
    def test_large_classes_give_a_share_each(self):
        labels = np.repeat([0, 1, 2], [20, 8, 3])
        learn, held = hold_out(labels, 0.25)
        assert np.bincount(labels[held], minlength=3).tolist() == [5, 2, 0]
        assert sorted([*learn, *held]) == list(range(31))

    def test_small_classes_are_held_out_whole(self):
        labels = np.repeat(np.arange(10), 2)
        learn, held = hold_out(labels, 0.3)
        assert len(held) == 6
        assert not set(labels[held]) & set(labels[learn])

    @pytest.mark.parametrize("counts", [[9], [1, 1, 1, 1], [9, 1], [3, 3], [2, 2, 2]])
    def test_too_little_is_an_error_that_says_what_is_needed(self, counts):
        with pytest.raises(DatasetError, match="at least"):
            hold_out(np.repeat(np.arange(len(counts)), counts), 0.25)
