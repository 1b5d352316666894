"""What the network knows of a body: joints, bones, part labels and parts, and how they hang together."""

from __future__ import annotations

JOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""COCO's 17 joints, in its order; left and right are the person's own."""

BONES = (
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
    (5, 6),
    (5, 7),
    (7, 9),
    (6, 8),
    (8, 10),
    (5, 11),
    (6, 12),
    (11, 12),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
)

MIRRORED = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
"""Left-right pairs: they look alike, and swap when a picture is mirrored."""

LABELS = (
    "background",
    "hair",
    "face",
    "torso skin",
    "upper clothes",
    "lower clothes",
    "arm",
    "leg",
    "shoe",
    "bag",
    "hat",
)
"""Labels of the parsing, in the order of the label maps."""

PARTS = ("head", "torso", "arms", "legs", "feet", "bag")

PART_JOINTS = {
    "head": (0, 1, 2, 3, 4),
    "torso": (5, 6, 11, 12),
    "arms": (7, 8, 9, 10),
    "legs": (13, 14, 11, 12),
    "feet": (15, 16),
    "bag": (5, 6, 9, 10),
}
"""Joints whose features a part gathers; a bag hangs from shoulders or wrists."""

PART_LABELS = {
    "head": (1, 2, 10),
    "torso": (3, 4),
    "arms": (6,),
    "legs": (5, 7),
    "feet": (8,),
    "bag": (9,),
}

PART_LINKS = (
    ("head", "torso"),
    ("torso", "arms"),
    ("torso", "legs"),
    ("legs", "feet"),
    ("torso", "bag"),
    ("arms", "bag"),
)
