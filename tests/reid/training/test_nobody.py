"""Pictures of nobody: windows keep away from people, and their truth says that nothing is there."""

import cv2
import numpy as np
import torch

from reid.datasets import Sample
from reid.datasets.coco import AnnotatedFrame
from reid.training import sources
from reid.training.body_losses import ABSENT, FULL_PARSE, joint_losses, visible_parts
from reid.training.nobody import beside_people, things

RED = (0, 0, 255)


def street(folder, label, doubtful=False):
    """A grey street of 320x240 with somebody in red."""
    picture = np.full((240, 320, 3), 128, np.uint8)
    picture[60:200, 150:200] = RED
    path = folder / f"{label}-{doubtful}.png"
    cv2.imwrite(str(path), picture)
    return AnnotatedFrame.made(path, path.name, [([150, 60, 200, 200], label, doubtful)])


def test_windows_show_no_part_of_anybody(tmp_path):
    frames = [street(tmp_path, "person"), street(tmp_path, "bicycle"), street(tmp_path, "car", doubtful=True)]
    people, bodies = sources.join([beside_people(frames, (64, 32), each=8)], (128, 64))
    assert len(people) > 12
    assert (people.pictures == 128).all()
    assert (people.identities == -1).all()
    assert (bodies.masks == 0).all()


def test_cars_may_be_seen(tmp_path):
    people, _ = sources.join([beside_people([street(tmp_path, "car")], (64, 32), each=40)], (128, 64))
    assert (people.pictures[..., 0] > 200).any()


def test_a_crowd_gives_no_window(tmp_path):
    frame = street(tmp_path, "person")
    frame.boxes[0] = 0, 0, 320, 240
    assert beside_people([frame], (64, 32)).paths == []


def test_things_leave_faces_out(tmp_path):
    samples = [Sample(tmp_path / "a.jpg", "a", identity="Faces"), Sample(tmp_path / "b.jpg", "b", identity="chair")]
    assert [path.name for path in things(samples, (64, 32)).paths] == ["b.jpg"]


def test_their_truth_asks_for_no_body(tmp_path):
    table = beside_people([street(tmp_path, "person")], (64, 32))
    joints, scheme = torch.from_numpy(table.joints), torch.from_numpy(table.scheme)
    target, known = visible_parts(joints, torch.from_numpy(table.masks).long(), scheme)
    assert known.all()
    assert (target == 0).all()
    assert (scheme == FULL_PARSE).all()

    out = {"heat": torch.zeros(1, 17, 64, 32), "xy": torch.zeros(1, 17, 2), "confidence": torch.full((1, 17), 3.0)}
    losses = joint_losses(out, joints)
    assert losses["heat"] == losses["place"] == 0
    assert losses["seen"] > 1
    unknown = joint_losses(out, joints.where(joints != ABSENT, torch.zeros(())))
    assert unknown["seen"] == 0
