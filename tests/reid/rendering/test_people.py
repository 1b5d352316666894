"""A rendered set: its files, its truth, and that it is always the same."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from reid.datasets import read_protocol
from reid.errors import PartwiseError
from reid.rendering import JOINTS, LABELS, iter_truth, load_mask, load_truth, read_truth, render_people
from reid.rendering.truth import LABEL


def test_a_set_holds_what_was_asked_for(people: Path) -> None:
    pictures = sorted(p.name for p in people.glob("*.jpg"))
    assert len(pictures) == 8 * 6
    truth = read_truth(people)
    assert sorted(truth["names"]) == pictures
    assert set(truth["identity"]) == set(range(1, 9))
    assert set(truth["camera"]) == {1, 2, 3}
    table = (people / "manifest.csv").read_text(encoding="utf-8").splitlines()
    assert table[0].split(",")[:5] == ["name", "identity", "camera", "view", "words"]
    assert len(table) == 1 + 8 * 6


def test_joints_in_space_project_onto_joints_in_the_picture(people: Path) -> None:
    truth = read_truth(people)
    fx, fy, cx, cy = truth["intrinsics"].T[..., None]
    x, y, z = np.moveaxis(truth["joints_3d"], -1, 0)
    assert (z > 0).all()
    projected = np.stack([x / z * fx + cx, y / z * fy + cy], -1)
    assert np.abs(projected - truth["joints"]).max() < 0.1


def test_people_have_human_measures(people: Path) -> None:
    joints = read_truth(people)["joints_3d"]
    thigh = np.linalg.norm(joints[:, JOINTS.index("left_hip")] - joints[:, JOINTS.index("left_knee")], axis=-1)
    assert ((thigh > 0.3) & (thigh < 0.6)).all()
    shoulders = np.linalg.norm(joints[:, 5] - joints[:, 6], axis=-1)
    assert ((shoulders > 0.2) & (shoulders < 0.5)).all()


def test_visible_shoulders_lie_on_upper_clothes_and_visible_feet_on_shoes(people: Path) -> None:
    shoulders, feet = [], []
    for truth in iter_truth(people):
        height, width = truth.mask.shape
        for joint, visible, name in zip(truth.joints, truth.visible, JOINTS, strict=True):
            if not visible:
                continue
            assert 0 <= joint[0] < width
            assert 0 <= joint[1] < height
            label = truth.mask[int(joint[1]), int(joint[0])]
            assert label != LABEL["background"]
            if "shoulder" in name:
                shoulders.append(label == LABEL["upper clothes"])
            if "toe" in name:
                feet.append(label == LABEL["shoe"])
    assert len(shoulders) > 30
    assert np.mean(shoulders) >= 0.95
    assert len(feet) > 30
    assert np.mean(feet) >= 0.95


def test_masks_carry_known_labels_and_somebody_is_there(people: Path) -> None:
    for name in read_truth(people)["names"]:
        mask = load_mask(people, name)
        assert mask.dtype == np.uint8
        assert mask.max() < len(LABELS)
        assert (mask > 0).mean() > 0.05


def test_the_box_bounds_the_mask(people: Path) -> None:
    truth = load_truth(people, read_truth(people)["names"][0])
    rows, columns = np.nonzero(truth.mask)
    assert truth.box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_left_and_right_follow_the_yaw(people: Path) -> None:
    """Who faces the camera has the left shoulder on the picture's right."""
    truth = read_truth(people)
    facing = np.cos(truth["yaw"])
    left_of_right = truth["joints_3d"][:, 5, 0] - truth["joints_3d"][:, 6, 0]
    clear = np.abs(facing) > 0.7
    assert clear.sum() > 5
    assert (np.sign(left_of_right[clear]) == np.sign(facing[clear])).all()


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_same_seed_same_bytes_whatever_the_processes_and_after_a_break(people: Path, tmp_path: Path) -> None:
    again = render_people(tmp_path / "again", 2, 6, seed=3, cameras=3, processes=2)
    first = _digest(again)
    whole = _digest(people)
    assert len(first) > 2 * 6 * 2
    assert all(whole[name] == value for name, value in first.items() if name != "manifest.csv")
    (again / "truth" / "0002.npz").unlink()
    seen: list[tuple[int, int]] = []
    render_people(again, 2, 6, seed=3, cameras=3, processes=1, progress=lambda d, n: seen.append((d, n)))
    assert seen == [(1, 2), (2, 2)]
    assert _digest(again) == first


def test_another_seed_draws_others(people: Path, tmp_path: Path) -> None:
    other = render_people(tmp_path, 1, 1, seed=4, cameras=1, processes=1)
    assert read_truth(other)["words"][0] != read_truth(people)["words"][0]


def test_a_set_is_small(people: Path) -> None:
    total = sum(p.stat().st_size for p in people.rglob("*") if p.is_file())
    assert total / (8 * 6) < 12 * 1024


def test_a_set_reads_as_a_data_set(people: Path) -> None:
    protocol = read_protocol(people, "rendered")
    assert len(protocol.query) == 8 * 3
    assert len(protocol.query) + len(protocol.gallery) == 8 * 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"identities": 0}, "identities must lie between"),
        ({"views": 0}, "views must lie between"),
        ({"cameras": 0}, "cameras must lie between"),
        ({"seed": -1}, "seed must not be negative"),
        ({"assets": Path("nowhere")}, "has no clothes/"),
    ],
)
def test_bad_options_get_one_clear_line(change: dict, said: str, tmp_path: Path) -> None:
    options = {"identities": 1, "views": 1, "seed": 0, "cameras": 1} | change
    with pytest.raises(PartwiseError, match=said) as caught:
        render_people(tmp_path / "out", options.pop("identities"), options.pop("views"), **options)
    assert "\n" not in str(caught.value)


def test_a_folder_of_another_set_is_refused(people: Path) -> None:
    before = _digest(people)
    with pytest.raises(PartwiseError, match="another seed"):
        render_people(people, 8, 6, seed=5, cameras=3)
    assert _digest(people) == before


def test_a_folder_of_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"not ours")
    with pytest.raises(PartwiseError, match="no rendered people"):
        render_people(tmp_path, 1, 1)
