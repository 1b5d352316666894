"""Where every vertex of a body lies on its torso, arms and legs: the coordinates that clothes are cut and sewn in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reid.rendering.body import Body

TORSO, ARM, LEG = 0, 1, 2
_HAND = ("wrist", "finger", "metacarpal")
_ARM = ("upperarm", "lowerarm", *_HAND)
_LEG = ("upperleg", "lowerleg", "foot", "toe")


@dataclass(frozen=True)
class Anatomy:
    """A body at rest, measured.

    Attributes:
        vertices: (N, 3). heads: (B, 3) bone heads.
        arm, leg, head, foot: (N,) 0..1, how far a vertex belongs there.
        region: (N,) TORSO, ARM or LEG.
        reach: (N,) along the arm: 0 shoulder, 1 elbow, 2 wrist. drop: (N,) along the leg: 0 hip, 1 knee, 2 ankle.
        axis: (N, 3) the nearest point of the torso's or limb's axis.
        fall: (N,) metres below the top of the torso or limb.
        around: (N,) angle about the axis: 0 front or outer edge, positive towards the left.
        waist, neck, crotch, knee, ankle, sole: heights in metres.
    """

    body: Body
    vertices: np.ndarray
    heads: np.ndarray
    arm: np.ndarray
    leg: np.ndarray
    head: np.ndarray
    foot: np.ndarray
    region: np.ndarray
    reach: np.ndarray
    drop: np.ndarray
    axis: np.ndarray
    fall: np.ndarray
    around: np.ndarray
    waist: float
    neck: float
    crotch: float
    knee: float
    ankle: float
    sole: float
    _coords: dict[str, np.ndarray] = field(default_factory=dict)

    def bone(self, name: str) -> np.ndarray:
        return self.heads[self.body.bones[name]]

    def pattern_coords(self, group: str) -> np.ndarray:
        """(F, 3, 2) metres around (u) and up (v) for each corner of one of the body's surfaces; sleeves and legs are
        panels of their own, as sewn."""
        if group not in self._coords:
            faces, region = self.body.faces[group], self.face_region(group)
            radius = np.array([0.155, 0.055, 0.085])[region][:, None]
            u = unrolled(self.around[faces] * radius, 2 * np.pi * radius)
            up = np.where(
                region[:, None] == ARM, self.bone("clavicle.L")[2] - 0.03 - self.fall[faces], self.vertices[:, 2][faces]
            )
            self._coords[group] = np.stack([u, up - self.waist], -1).astype(np.float32)
        return self._coords[group]

    def face_region(self, group: str) -> np.ndarray:
        """(F,) TORSO, ARM or LEG of each face of one of the body's surfaces."""
        faces = self.body.faces[group]
        arm, leg = mean_of_corners(self.arm, faces) > 0.5, mean_of_corners(self.leg, faces) > 0.55
        low = mean_of_corners(self.vertices[:, 2], faces) < self.crotch + 0.06
        return np.where(arm, ARM, np.where(leg & low, LEG, TORSO))

    def draped(self, amount: float, flare: float, leg_amount: float = 0.0) -> np.ndarray:
        """(N, 3) vertices as cloth hangs over them: no narrower than what is above, up to `amount` (0..1).

        Args:
            flare: metres that the cloth widens by for each metre it falls.
            leg_amount: `amount` on the legs.
        """
        away = self.vertices - self.axis
        away[self.region == TORSO, 2] = 0
        radius = np.linalg.norm(away, axis=1)
        new = radius.copy()
        side = self.vertices[:, 0] > 0
        for region, share in ((TORSO, amount), (ARM, amount * 0.8), (LEG, leg_amount)):
            for left in (True, False):
                if region == TORSO and not left:
                    continue
                mine = (self.region == region) & ((side == left) | (region == TORSO))
                if not mine.any() or share <= 0:
                    continue
                new[mine] = _hang(radius[mine], self.around[mine], self.fall[mine], share, flare)
        ease = np.where(self.region == TORSO, np.clip(self.fall / 0.15, 0, 1), np.clip(self.fall / 0.2, 0, 1))
        hand = self.body.share(*_HAND)
        new = radius + (new - radius) * ease * (1 - hand) * (1 - self.foot)
        return (self.vertices + away * (new / np.maximum(radius, 1e-6) - 1)[:, None]).astype(np.float32)


def mean_of_corners(values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) mean of a value of the vertices (N,) over each face."""
    return (values[faces[:, 0]] + values[faces[:, 1]] + values[faces[:, 2]]) / 3


def unrolled(u: np.ndarray, turn: np.ndarray | float) -> np.ndarray:
    """Lengths (F, 3) around something, so that no face spans the place where they jump by a whole `turn`."""
    wide = np.maximum(np.maximum(u[:, 0], u[:, 1]), u[:, 2]) - np.minimum(np.minimum(u[:, 0], u[:, 1]), u[:, 2])
    return np.where((wide[:, None] > turn / 2) & (u < 0), u + turn, u)


def _hang(radius: np.ndarray, around: np.ndarray, fall: np.ndarray, share: float, flare: float) -> np.ndarray:
    """Radii that never shrink downwards within a sector, blended by `share`."""
    sectors, rows = 16, 24
    column = ((around / (2 * np.pi) + 0.5) * sectors).astype(int) % sectors
    depth = max(float(fall.max()), 1e-3)
    row = np.clip((fall / depth * rows).astype(int), 0, rows - 1)
    widest = np.zeros((rows, sectors))
    np.maximum.at(widest, (row, column), radius)
    hanging = np.maximum.accumulate(widest, axis=0)
    # Smooth between sectors, so that cloth shows no ridges.
    hanging = (np.roll(hanging, 1, 1) + 2 * hanging + np.roll(hanging, -1, 1)) / 4
    wide = np.maximum(hanging[row, column] * (1 - 0.03 * share) + flare * fall * 0.5, radius)
    return radius + share * np.clip(wide - radius, 0, 0.14)


def measure(body: Body, vertices: np.ndarray, heads: np.ndarray) -> Anatomy:
    """Measure a body at rest."""

    def bone(name: str) -> np.ndarray:
        return heads[body.bones[name]]

    arm, leg = body.share(*_ARM), body.share(*_LEG)
    # Hips count as torso, so that a shirt hangs over them.
    fork = bone("upperleg01.L")[2] - 0.04
    region = np.where(arm > 0.5, ARM, np.where((leg > 0.55) & (vertices[:, 2] < fork), LEG, TORSO))
    axis = np.zeros_like(vertices)
    axis[:, 1] = (bone("spine05")[1] + bone("spine01")[1]) / 2 - 0.03
    axis[:, 2] = vertices[:, 2]
    top = bone("clavicle.L")[2]
    fall = np.maximum(top - vertices[:, 2], 0)
    away = vertices - axis
    around = np.arctan2(away[:, 0], -away[:, 1])
    reach, drop = np.zeros(len(vertices)), np.zeros(len(vertices))
    hip, knee, ankle = (bone(f"{n}.L") for n in ("upperleg01", "lowerleg01", "foot"))
    for side, sign in (("L", 1.0), ("R", -1.0)):
        half = vertices[:, 0] * sign > 0
        for part, names in ((ARM, ("upperarm01", "lowerarm01", "wrist")), (LEG, ("upperleg01", "lowerleg01", "foot"))):
            a, b, c = (bone(f"{n}.{side}") for n in names)
            mine = (region == part) & half
            p = vertices[mine]
            upper = ((p - a) @ (b - a)) / ((b - a) @ (b - a))
            lower = ((p - b) @ (c - b)) / ((c - b) @ (c - b))
            first = upper < 1
            along = np.where(first, upper, 1 + np.maximum(lower, 0))
            length_1, length_2 = np.linalg.norm(b - a), np.linalg.norm(c - b)
            axis[mine] = np.where(first[:, None], a + upper[:, None] * (b - a), b + lower[:, None] * (c - b))
            fall[mine] = np.where(first, np.maximum(upper, 0) * length_1, length_1 + np.maximum(lower, 0) * length_2)
            away = p - axis[mine]
            if part == ARM:
                reach[mine] = along
                around[mine] = np.arctan2(away[:, 1], away[:, 2] * 0.7 + away[:, 0] * sign * 0.7)
            else:
                around[mine] = np.arctan2(away[:, 0] * sign, -away[:, 1])
    z = vertices[:, 2]
    drop = np.where(z > knee[2], (hip[2] - z) / (hip[2] - knee[2]), 1 + (knee[2] - z) / (knee[2] - ankle[2]))
    # Vertices between arm and torso get both readings near the shoulder.
    soft = (arm > 0.05) & (region == TORSO)
    reach = np.where(soft, 0.02, reach)
    return Anatomy(
        body=body,
        vertices=vertices,
        heads=heads,
        arm=arm,
        leg=leg,
        head=body.share_below("head"),
        foot=body.share("foot", "toe"),
        region=region,
        reach=reach,
        drop=drop,
        axis=axis,
        fall=fall,
        around=around,
        waist=float(bone("spine05")[2] + 0.06),
        neck=float(bone("neck01")[2]),
        crotch=float(hip[2] - 0.06),
        knee=float(knee[2]),
        ankle=float(ankle[2]),
        sole=float(z[np.unique(body.faces["body"])].min()),
    )
