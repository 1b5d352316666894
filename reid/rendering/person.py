"""An identity: a body with an outfit, ready to be posed."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from reid.rendering import materials as m
from reid.rendering.anatomy import mean_of_corners, measure
from reid.rendering.assets import Assets, dress_from_assets, hair_from_assets, skin_from_assets
from reid.rendering.bags import carry_bag, hold_item
from reid.rendering.body import Body, load_body
from reid.rendering.clothes import Dressing, wear_lower, wear_outer, wear_shoes, wear_upper
from reid.rendering.hair import wear_glasses, wear_hair, wear_hat
from reid.rendering.mesh import Mesh, merge, part, skin
from reid.rendering.pose import bone_transforms, draw_pose
from reid.rendering.truth import LABEL
from reid.rendering.wardrobe import Outfit, draw_outfit, twin

_SKIN = np.array(
    [
        [0.90, 0.74, 0.64],
        [0.83, 0.65, 0.53],
        [0.74, 0.55, 0.42],
        [0.60, 0.42, 0.31],
        [0.44, 0.30, 0.21],
        [0.32, 0.21, 0.16],
    ]
)
_TWINS = 0.4  # share of identities that resemble the one before them


@dataclass(frozen=True)
class Posed:
    """A person in a pose, standing on z = 0."""

    mesh: Mesh
    joints: np.ndarray
    feet: np.ndarray


@dataclass(frozen=True)
class Person:
    """An identity.

    Attributes:
        outfit: what is worn. mesh: at rest. surface: material table and atlas.
        heads: (B, 3) bone heads at rest. joint_shares: as `Body.joint_shares` gives them.
        sole: metres from the lowest foot joint down to the ground.
    """

    outfit: Outfit
    mesh: Mesh
    surface: tuple[np.ndarray, np.ndarray]
    heads: np.ndarray
    joint_shares: np.ndarray
    sole: float

    def pose(self, rng: np.random.Generator, yaw: float, place: np.ndarray) -> Posed:
        """The person in a pose drawn at random at a `place` (2,) on the ground, turned by `yaw` (0 faces -Y,
        counter-clockwise from above)."""
        body = load_body()
        transforms = bone_transforms(draw_pose(rng, self.heads, body, self.outfit.habit), self.heads, body)
        hang = []
        for side in ("L", "R"):
            i = body.bones[f"wrist.{side}"]
            moved = transforms[i, :, :3] @ self.heads[i] + transforms[i, :, 3] - self.heads[i]
            hang.append(np.concatenate([np.eye(3), moved[:, None]], 1))
        transforms = np.concatenate([transforms, np.array(hang)])
        mesh = self.mesh
        assert mesh.weights is not None
        assert mesh.influences is not None
        joints = np.einsum("brk,bjk->jr", transforms[: len(self.joint_shares)], self.joint_shares)
        middle = np.array([*joints[11:13, :2].mean(0), joints[17:23, 2].min() - self.sole])
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        ground = np.array([*place, 0.0])
        joints = (joints - middle) @ turn.T + ground
        transforms = turn @ transforms
        transforms[:, :, 3] += ground - turn @ middle
        vertices = skin(
            mesh.vertices, mesh.weights, mesh.influences, transforms.astype(np.float32), mesh.loose, mesh.outward,
            float(rng.uniform(0, 6)),
        )  # fmt: skip
        return Posed(mesh.moved(vertices), joints, joints[[15, 16, 17, 18], :2])


def make_person(seed: int, number: int, assets: Assets | None = None) -> Person:
    """Identity `number` of the set that `seed` draws; the same arguments give the same person.

    About a third resemble the identity before them: same build and clothes but for a garment, a bag or the haircut.
    """
    own = np.random.default_rng([seed, number, 1])
    resembles = number
    while np.random.default_rng([seed, resembles, 2]).random() < _TWINS and resembles > 0:
        resembles -= 1
    base = (seed, resembles, 3)
    traits = np.random.default_rng([*base, 4])
    female = bool(traits.random() < 0.5)
    race = traits.dirichlet([0.5, 0.9, 0.8])
    phenotype = _phenotype(traits, female, race)
    if resembles == number:
        outfit = draw_outfit(base, female)
    else:
        outfit = twin(base, female, own)
        phenotype |= {k: float(np.clip(phenotype[k] + own.normal(0, 0.05), 0.1, 0.95)) for k in ("height", "weight")}
    return dress(outfit, phenotype, race, own, assets)


def dress(
    outfit: Outfit,
    phenotype: dict[str, float],
    race: np.ndarray,
    rng: np.random.Generator,
    assets: Assets | None = None,
) -> Person:
    """A person of a build and an outfit. With assets, some wear real meshes in place of the drawn garments."""
    body = load_body()
    vertices, heads = body.at_rest(phenotype)
    anatomy = measure(body, vertices, heads)
    d = Dressing(anatomy, m.Materials(), rng)
    dark = float(np.clip(race @ np.array([4.0, 1.3, 0.7]) + rng.normal(0, 0.35), 0, 4.99))
    tone = _SKIN[int(dark)] * (1 - dark % 1) + _SKIN[int(dark) + 1] * (dark % 1)
    dressed = dress_from_assets(d, outfit, assets) if assets is not None and rng.random() < assets.share else None
    if dressed is None:
        wear_upper(d, outfit)
        wear_outer(d, outfit)
        wear_lower(d, outfit)
        wear_shoes(d, outfit)
    else:
        outfit = dressed
    if assets is None or rng.random() > 0.6 or not hair_from_assets(d, outfit, assets):
        wear_hair(d, outfit)
    wear_hat(d, outfit)
    wear_glasses(d, outfit)
    carry_bag(d, outfit)
    hold_item(d, outfit)
    tint = None
    if assets is not None and rng.random() < 0.7:
        tint = skin_from_assets(assets, rng, outfit.female, dark >= 3)
    _skin(d, tone, _complexion(body) if tint is None else tint)
    sole = float(body.joints(vertices)[17:23, 2].min()) - anatomy.sole + 0.012
    return Person(outfit, merge(d.parts), d.surface.table(), heads, body.joint_shares(vertices), sole)


def _phenotype(rng: np.random.Generator, female: bool, race: np.ndarray) -> dict[str, float]:
    return {
        "gender": float(np.clip(rng.normal(0.9 if female else 0.1, 0.08), 0, 1)),
        "age": float(np.clip(0.55 + 0.4 * rng.beta(1.6, 2.2), 0.5, 0.95)),
        "muscle": float(rng.uniform(0.3, 0.7)),
        "weight": float(np.clip(rng.normal(0.5, 0.17), 0.15, 0.95)),
        "height": float(np.clip(rng.normal(0.375, 0.07), 0.17, 0.62)),
        "proportions": float(rng.uniform(0.3, 0.8)),
        "cupsize": float(rng.uniform(0.3, 0.65)),
        "firmness": 0.6,
        "african": float(race[0]),
        "asian": float(race[1]),
        "caucasian": float(race[2]),
    }


def _skin(d: Dressing, tone: np.ndarray, tint: np.ndarray) -> None:
    """The body where no clothes cover it, and the eyes.

    Args:
        tone: (3,) the skin's colour. tint: (256, 256, 3), what it is multiplied by.
    """
    a, body = d.anatomy, d.anatomy.body
    picture = np.empty((*tint.shape[:2], 4), np.uint8)
    np.clip(255 * tone.astype(np.float32) * tint, 0, 255, out=picture[..., :3], casting="unsafe")
    picture[..., 3] = 255
    material = d.surface.add(m.TEXTURE, np.ones(3), texture=d.surface.image(picture), gloss=0.05)
    eye = d.surface.add(m.PLAIN, (0.22, 0.18, 0.16), gloss=0.3)
    faces = body.faces["body"]
    label = np.where(
        mean_of_corners(a.head, faces) > 0.5,
        LABEL["face"],
        np.where(
            mean_of_corners(a.arm, faces) > 0.5,
            LABEL["arm"],
            np.where(
                mean_of_corners(a.foot, faces) > 0.5,  # what sandals show of a foot counts as the shoe
                LABEL["shoe"],
                np.where(mean_of_corners(a.leg, faces) > 0.5, LABEL["leg"], LABEL["torso skin"]),
            ),
        ),
    )
    bare = np.where(d.hidden, -1.0, 0.03 - d.covered)
    d.parts.append(
        part(
            a.vertices,
            faces,
            material,
            label,
            coords=body.face_uv["body"],
            cut=bare,
            closed=True,
            weights=body.weights,
            influences=body.influences,
        )
    )
    for group in ("eye_left", "eye_right"):
        d.parts.append(
            part(a.vertices, body.faces[group], eye, LABEL["face"], weights=body.weights, influences=body.influences)
        )


@functools.cache
def _complexion(body: Body) -> np.ndarray:
    """(256, 256, 3) float32: how lips, eyelids and unevenness tint the skin."""
    lips, eyelids = (np.float32(1 / 255) * mask[..., None] for mask in (body.lips, body.eyelids))
    tint = 1 + lips * np.array([-0.15, -0.45, -0.45], np.float32)
    mottled = 1 + 0.05 * m.NOISE_UNIT * m.noise()[..., 1:2].astype(np.float32)
    return (tint * (1 - 0.35 * eyelids) * mottled).astype(np.float32)
