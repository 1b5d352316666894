"""How people stand, walk and carry: bone rotations drawn at random around textbook gait.

Joint angles over a walking cycle follow the normal curves of Winter, "Biomechanics and Motor Control of Human
Movement"; legs run half a cycle apart and arms swing against them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numba as nb
import numpy as np

from reid.rendering.body import Body

_CYCLE_HIP = ([0, 15, 50, 60, 85, 100], [30, 22, -12, -5, 32, 30])
_CYCLE_KNEE = ([0, 15, 40, 60, 72, 90, 100], [5, 18, 6, 35, 62, 12, 5])
_CYCLE_ANKLE = ([0, 7, 45, 62, 75, 100], [0, -6, 10, -18, 0, 0])
_REST_ELBOW = 0.62  # the body's elbows are bent at rest


@dataclass(frozen=True)
class Habit:
    """What the hands are for; each is "free", "carry" (arm down with a weight), "hold" (forearm up before the body),
    "strap" (a hand at the shoulder strap), "raised" (an umbrella) or "pull" (a trolley behind)."""

    left: str = "free"
    right: str = "free"


def draw_pose(rng: np.random.Generator, heads: np.ndarray, body: Body, habit: Habit) -> dict[str, np.ndarray]:
    """Rotations (3, 3) in the world's axes by bone name, each on top of its parent's.

    Args:
        heads: (B, 3) bone heads at rest.
    """
    walks = rng.random() < 0.72
    phase = rng.random()
    stride = rng.uniform(0.6, 1.15) if walks else 0.0
    swing = math.sin(2 * math.pi * phase) * stride
    lean = rng.normal(0.03, 0.035)
    pose = {
        "spine05": _x(lean) @ _z(rng.normal(0, 0.04) + 0.1 * swing),
        "spine02": _x(lean + abs(rng.normal(0, 0.03))) @ _z(-0.18 * swing) @ _y(rng.normal(0, 0.02)),
        "neck02": _x(rng.normal(0.06, 0.1)),
        "head": _x(rng.normal(0.03, 0.13)) @ _z(rng.normal(0, 0.3)) @ _y(rng.normal(0, 0.06)),
    }
    mood = rng.random()  # what free hands do: mostly hang, at times a phone, pockets, crossed or behind the back
    busy = str(rng.choice(["left", "right"]))
    for side, sign, name, at in (("L", 1, "left", phase), ("R", -1, "right", phase + 0.5)):
        hip, knee, ankle = (_cycle(curve, at) for curve in (_CYCLE_HIP, _CYCLE_KNEE, _CYCLE_ANKLE))
        if walks:
            hip, knee = hip * stride, knee * (0.4 + 0.6 * stride)
            apart = rng.normal(0.01, 0.02)
        else:
            hip, knee, ankle = rng.normal(0.02, 0.07), abs(rng.normal(0, 0.1)), 0.0
            apart = abs(rng.normal(0, 0.05)) - 0.03
        pose[f"upperleg01.{side}"] = _x(-hip) @ _y(-sign * (0.035 - apart)) @ _z(sign * rng.normal(0.05, 0.06))
        pose[f"lowerleg01.{side}"] = _x(knee)
        pose[f"foot.{side}"] = _x(-ankle)
        shoulder, elbow = heads[body.bones[f"upperarm01.{side}"]], heads[body.bones[f"lowerarm01.{side}"]]
        down = math.atan2(abs(elbow[0] - shoulder[0]), shoulder[2] - elbow[2])
        forward = -0.5 * stride * math.cos(2 * math.pi * at) * rng.uniform(0.6, 1.1) if walks else rng.normal(0, 0.08)
        bend = rng.uniform(0.05, 0.35) + (0.4 * max(0.0, forward) if walks else 0.0)
        spread, inward = rng.uniform(0.08, 0.2), 0.1
        use = getattr(habit, name)
        if use == "free":
            if mood < 0.1 and name == busy:  # looks at a phone or speaks into it
                forward, bend, inward = rng.uniform(0.25, 0.5), rng.uniform(1.5, 2.3), rng.uniform(0.2, 0.7)
                pose["head"] = _x(rng.uniform(0.1, 0.4)) @ pose["head"]
            elif mood < 0.15:  # both hands before the body
                forward, bend, inward = rng.uniform(0.2, 0.4), rng.uniform(1.2, 1.7), rng.uniform(0.5, 0.8)
            elif mood < 0.23:  # hands in pockets
                forward, bend, inward = rng.uniform(-0.25, -0.1), rng.uniform(0.6, 0.8), 0.25
            elif mood < 0.26:  # a hand to the head
                if name == busy:
                    forward, bend, inward, spread = rng.uniform(0.7, 1.1), rng.uniform(2.0, 2.4), 0.3, 0.35
            elif mood < 0.30 and not walks:  # hands behind the back
                forward, bend, inward = -0.45, 0.5, 0.7
        elif use == "carry":
            forward, bend, spread = forward * 0.35, rng.uniform(0.0, 0.12), rng.uniform(0.12, 0.2)
        elif use == "hold":
            forward, bend, inward = rng.uniform(0.1, 0.35), rng.uniform(1.3, 1.7), rng.uniform(0.2, 0.6)
        elif use == "strap":
            forward, bend, inward = rng.uniform(0.2, 0.4), rng.uniform(2.1, 2.4), rng.uniform(0.3, 0.5)
        elif use == "raised":
            forward, bend, inward = rng.uniform(0.35, 0.5), rng.uniform(1.9, 2.1), 0.15
        elif use == "pull":
            forward, bend, spread = rng.uniform(-0.5, -0.35), 0.1, 0.2
        pose[f"clavicle.{side}"] = _y(sign * 0.08)
        pose[f"upperarm01.{side}"] = _x(-forward) @ _y(sign * (down - spread - 0.08))
        # Inwards: the forearm turns about the upright axis towards the middle of the body.
        pose[f"lowerarm01.{side}"] = _z(-sign * inward) @ _x(-bend + _REST_ELBOW) @ _y(sign * 0.1)
        curl = rng.uniform(0.05, 0.3) if use == "free" else rng.uniform(0.45, 0.7)
        for finger in range(2, 6):
            bent = _y(sign * (curl + 0.03 * finger * rng.random()))
            for joint in (1, 2, 3):
                pose[f"finger{finger}-{joint}.{side}"] = bent
    return pose


def bone_transforms(pose: dict[str, np.ndarray], heads: np.ndarray, body: Body) -> np.ndarray:
    """(B, 3, 4) transforms from rest to pose."""
    own = np.zeros((len(heads), 3, 3))
    for name, rotation in pose.items():
        own[body.bones[name]] = rotation
    return _chained(own, heads, body.parents)


@nb.njit(cache=True)
def _chained(own: np.ndarray, heads: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """(B, 3, 4) from each bone's rotation (B, 3, 3) on top of its parent's, all zero for none; parents come first."""
    out = np.zeros((len(heads), 3, 4))
    for i in range(len(heads)):
        parent = parents[i]
        if parent < 0:
            for r in range(3):
                out[i, r, r] = 1.0
        else:
            out[i] = out[parent]
        if own[i, 0, 0] == 0 and own[i, 1, 1] == 0 and own[i, 2, 2] == 0:
            continue
        for r in range(3):
            before = out[i, r, 3]  # where the head goes does not change
            for c in range(3):
                before += out[i, r, c] * heads[i, c]
            out[i, r, 3] = before
        turn = np.zeros((3, 3))
        for r in range(3):
            for c in range(3):
                for q in range(3):
                    turn[r, c] += own[i, r, q] * out[i, q, c]
        for r in range(3):
            for c in range(3):
                out[i, r, c] = turn[r, c]
                out[i, r, 3] -= turn[r, c] * heads[i, c]
    return out


def _cycle(curve: tuple[list[int], list[int]], at: float) -> float:
    return math.radians(float(np.interp(at % 1 * 100, *curve)))


def _turn(axis: int) -> Callable[[float], np.ndarray]:
    i, j = [(1, 2), (2, 0), (0, 1)][axis]

    def turn(angle: float) -> np.ndarray:
        matrix = _UPRIGHT.copy()
        matrix[i, i] = matrix[j, j] = math.cos(angle)
        matrix[j, i] = math.sin(angle)
        matrix[i, j] = -math.sin(angle)
        return matrix

    return turn


_UPRIGHT = np.eye(3)
_x, _y, _z = _turn(0), _turn(1), _turn(2)
