"""Sources: every kind of truth ends up in the same table, row for row."""

import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from reid.datasets import Sample
from reid.errors import DatasetError
from reid.training.body_losses import COARSE_NAMES, COARSE_PARSE, FULL_PARSE, NO_PARSE, SILHOUETTE, UNKNOWN
from reid.training.sources import (
    CCP_GROUPS,
    HIPS,
    clothing_co_parsing,
    join,
    rendered,
    unlabelled,
    with_teachers,
)


def crops(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((128, 64, 3), 20 * i, np.uint8))
    return [Sample(folder / name, name, identity=name[:4]) for name in names]


@pytest.fixture
def real(tmp_path):
    return crops(tmp_path / "real", ["0002_c1s1_000001_00.jpg", "0002_c2s1_000001_00.jpg", "0007_c1s1_000001_00.jpg"])


@pytest.fixture
def drawn(tmp_path):
    folder = tmp_path / "drawn"
    names = ["0001_c1s1_000001_00.jpg", "0001_c2s1_000001_00.jpg"]
    crops(folder, names)
    (folder / "truth" / "masks").mkdir(parents=True)
    for name in names:
        mask = np.zeros((128, 64), np.uint8)
        mask[30:60, 20:40] = 4
        cv2.imwrite(str(folder / "truth" / "masks" / name.replace(".jpg", ".png")), mask)
    joints = np.tile(np.float32([32, 64]), (2, 23, 1))
    joints[0, 5] = 200, 10
    np.savez(
        folder / "truth" / "0001.npz",
        names=np.array(names),
        identity=np.int32([1, 1]),
        camera=np.int32([1, 2]),
        view=np.int32([0, 1]),
        joints=joints,
        visible=np.array([[True] * 5 + [False] * 18] * 2),
        joints_3d=np.tile(np.float32([1, 2, 8]), (2, 23, 1)),
        intrinsics=np.ones((2, 4), np.float32),
        box=np.ones((2, 4), np.float32),
        yaw=np.zeros(2, np.float32),
    )
    (folder / "truth" / "set.json").write_text(json.dumps({}))
    return folder


def test_teachers_fill_in_what_they_are_sure_of(real, tmp_path):
    names = np.array([sample.name for sample in real][::-1])  # another order than the samples'
    np.savez(tmp_path / "taught.npz", names=names, vectors=np.eye(3, 8, dtype=np.float16))
    joints = np.full((3, 33, 4), 0.5, np.float32)
    joints[..., 2] = 0.9
    joints[:, 11, 2] = 0.1  # a hidden left shoulder
    joints[:, 12, 0] = 1.5  # a right shoulder outside the picture
    world = np.random.default_rng(0).normal(size=(3, 33, 3)).astype(np.float32)
    masks = np.zeros((3, 64, 32), np.uint8)
    masks[:, 20:40] = 255
    masks[:, 40:44] = 128
    confidence = np.float32([0.9, 0.9, 0.1])
    np.savez(tmp_path / "p.npz", names=names, joints=joints, world=world, confidence=confidence, masks=masks)
    table = with_teachers(unlabelled(real, (64, 32)), tmp_path / "taught.npz", tmp_path / "p.npz")
    assert table.taught is not None
    assert table.taught.argmax(1).tolist() == [2, 1, 0]
    assert table.scheme.tolist() == [NO_PARSE, SILHOUETTE, SILHOUETTE]
    assert (table.joints[0, :, 2] == 0).all(), "a pose below the mark is not believed"
    assert table.joints[1, [0, 5, 6], 2].tolist() == [2, 1, 0]
    np.testing.assert_allclose(table.xyz[1, HIPS].mean(0), 0, atol=1e-6)
    assert np.isnan(table.xyz[1, 5]).all()
    assert set(np.unique(table.masks[1])) == {0, 1, UNKNOWN}
    assert (table.masks[0] == UNKNOWN).all()


def test_a_teacher_who_missed_pictures_is_refused(real, tmp_path):
    np.savez(tmp_path / "taught.npz", names=np.array(["other.jpg"]), vectors=np.ones((1, 8)))
    with pytest.raises(DatasetError, match="3 pictures"):
        with_teachers(unlabelled(real, (64, 32)), tmp_path / "taught.npz", None)


def test_rendered_people_know_everything(drawn):
    table = rendered(drawn, (64, 32))
    assert table.identities == ["1", "1"]
    assert table.scheme.tolist() == [FULL_PARSE] * 2
    assert (table.masks[0, 15:30, 10:20] == 4).all()
    np.testing.assert_allclose(table.joints[0, 0], [0.5, 0.5, 2])
    assert table.joints[0, 6, 2] == 1, "inside but hidden"
    assert table.joints[0, 5, 2] == 0, "outside"
    np.testing.assert_allclose(table.xyz, 0)


def test_parsed_photos_leave_out_the_held_out_third(tmp_path):
    root = tmp_path / "ccp"
    (root / "annotations" / "pixel-level").mkdir(parents=True)
    (root / "photos").mkdir()
    tags = ["null", "accessories", *sorted(set().union(*CCP_GROUPS.values()))]
    savemat(root / "label_list.mat", {"label_list": np.array([tags], dtype=object)})
    for number in range(1, 7):
        truth = np.zeros((80, 40), np.uint8)
        truth[20:40], truth[40:60], truth[60:] = tags.index("coat"), tags.index("jeans"), tags.index("accessories")
        savemat(root / "annotations" / "pixel-level" / f"{number:04d}.mat", {"groundtruth": truth})
        cv2.imwrite(str(root / "photos" / f"{number:04d}.jpg"), np.zeros((80, 40, 3), np.uint8))
    table = clothing_co_parsing(root, (40, 20))
    assert [path.stem for path in table.paths] == ["0001", "0002", "0004", "0005"]
    assert table.scheme.tolist() == [COARSE_PARSE] * 4
    assert set(np.unique(table.masks)) == {0, COARSE_NAMES.index("upper"), COARSE_NAMES.index("lower"), UNKNOWN}
    assert tuple(CCP_GROUPS) == COARSE_NAMES[1:]


def test_joined_tables_keep_their_rows_and_identities_apart(real, drawn):
    nobody = unlabelled([Sample(real[0].path, "x")], (64, 32))
    people, bodies = join([unlabelled(real, (64, 32)), nobody, rendered(drawn, (64, 32))], (32, 16))
    assert people.pictures.shape == (6, 32, 16, 3)
    assert people.identities.tolist()[3] == -1
    assert people.n_identities == 3
    assert len(set(people.identities[:3])) == 2
    assert set(people.identities[4:]).isdisjoint(people.identities[:3])
    assert bodies.scheme.tolist() == [NO_PARSE] * 4 + [FULL_PARSE] * 2
    assert bodies.masks.shape == (6, 64, 32)
