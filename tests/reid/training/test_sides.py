"""Skeletons whose sides a judge disagrees with are turned around, and only those."""

import numpy as np

from models.gpn.anatomy import JOINTS, MIRRORED
from reid.training.sides import OTHER_SIDE, mend, turned
from reid.training.sources import BLAZEPOSE_TO_COCO

SWAP = np.arange(len(JOINTS))
for a, b in MIRRORED:
    SWAP[a], SWAP[b] = b, a


def skeletons(n: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    joints = np.concatenate([rng.uniform(0.2, 0.8, (n, len(JOINTS), 2)), np.ones((n, len(JOINTS), 1))], 2)
    return joints.astype(np.float32)


def test_only_what_the_judge_sees_the_other_way_round_is_turned():
    theirs = skeletons(4)
    judged = theirs[..., :2].copy()
    judged[1] = judged[1][SWAP]
    judged[3] = judged[3][SWAP]
    judged += np.random.default_rng(5).normal(0, 0.01, judged.shape)
    assert turned(theirs, judged, np.full(4, 0.5)).tolist() == [False, True, False, True]


def test_doubt_and_darkness_leave_a_skeleton_as_it_is():
    theirs = skeletons(2)
    between = (theirs[..., :2] + theirs[:, SWAP, :2]) / 2  # a judge who cannot tell
    assert not turned(theirs, between, np.full(2, 0.5)).any()
    theirs[..., 2] = 0
    assert not turned(theirs, theirs[:, SWAP, :2], np.full(2, 0.5)).any()


def test_the_other_side_is_the_other_side_of_every_joint():
    assert sorted(OTHER_SIDE) == list(range(33))
    assert np.array_equal(OTHER_SIDE[OTHER_SIDE], np.arange(33))
    there = np.array(BLAZEPOSE_TO_COCO)
    assert np.array_equal(OTHER_SIDE[there], there[SWAP])


def test_mending_keeps_places_and_forgets_metres_and_face():
    joints = np.arange(2 * 33 * 4, dtype=np.float32).reshape(2, 33, 4)
    poses = {"names": np.array(["a", "b"]), "joints": joints, "world": np.ones((2, 33, 3), np.float32)}
    mended = mend(poses, np.array([False, True]))
    assert np.array_equal(mended["joints"][0], joints[0])
    assert np.array_equal(mended["joints"][1, 11, :2], joints[1, 12, :2])
    assert (mended["joints"][1, 0, 2], mended["joints"][1, 11, 2]) == (0, joints[1, 12, 2])
    assert np.isnan(mended["world"][1]).all()
    assert np.isfinite(mended["world"][0]).all()
    assert np.array_equal(poses["joints"], joints), "the file itself stays as it was"
