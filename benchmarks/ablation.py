"""What each piece of GPN is worth: the same short training on Market-1501, a piece more each time.

    PARTWISE_ABLATION=RUNS PARTWISE_MARKET1501=DIR PARTWISE_POSES=FILE.npz PARTWISE_RENDERED=DIR \\
        python -m benchmarks ablation

Identities are those of Market-1501 alone, and no teacher of embeddings is heard. Joints and outlines of its pictures
come from PARTWISE_POSES (`python -m reid.training.teachers poses`); labels and metres from rendered people, who have no
identity here and stand in every batch but the first row's. Twenty short epochs of 100 steps at 128x64, from scratch,
then Market-1501's test split, its queries whole and hidden. Runs are kept under RUNS, and one that was broken off goes
on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks import occlusion
from models.gpn.network import GPN
from reid.backends.gpn import VIEWS, Gpn, GraphPoseNetwork
from reid.datasets import read_folder
from reid.training import sources
from reid.training.body_losses import Bodies
from reid.training.gpn import GPNRecipe, GPNTraining, Group
from reid.training.loop import fit
from reid.training.people import People

SIZE, MASK = (128, 64), (64, 32)
EPOCHS, STEPS = 20, 100
NEEDED = ("PARTWISE_ABLATION", "PARTWISE_MARKET1501", "PARTWISE_POSES", "PARTWISE_RENDERED")


@dataclass(frozen=True)
class Row:
    """A row of the table: which losses count, by their names, and how much of the graph there is."""

    name: str
    losses: tuple[str, ...]
    parts: bool = False
    joint_graph: bool = False
    part_graph: bool = False


TRUNK = ("identity", "stripes", "triplet")
PARSE = (*TRUNK, "parse", "overlap", "rough")
SKELETON = (*PARSE, "heat", "place", "seen", "metres")
GRAPH = (*SKELETON, "visible", "parts", "match", "whole")
ROWS = (
    Row("trunk alone", TRUNK),
    Row("+ parse", PARSE),
    Row("+ skeleton", SKELETON),
    Row("+ parts, no graph", GRAPH, parts=True),
    Row("+ joint graph", GRAPH, parts=True, joint_graph=True),
    Row("+ part graph", GRAPH, parts=True, joint_graph=True, part_graph=True),
)


class NoJointGraph(nn.Module):
    """Stands in for layer one: each joint speaks for itself."""

    def __init__(self, enter: nn.Linear, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.enter, self.norm = enter, norm

    def forward(self, features: Tensor, xy: Tensor, xyz: Tensor, confidence: Tensor) -> Tensor:
        x: Tensor = self.norm(self.enter(torch.cat([features, xy, xyz, confidence[..., None]], 2)))
        return x


class NoPartGraph(nn.Module):
    """Stands in for layer two: parts and the whole keep to themselves."""

    def forward(self, parts: Tensor, whole: Tensor, visibility: Tensor) -> tuple[Tensor, Tensor]:
        return parts, whole


def network(row: Row) -> GPN:
    """GPN without the layers of the graph that a row lacks."""
    net = GPN()
    if not row.joint_graph:
        net.joint_graph = NoJointGraph(net.joint_graph.enter, net.joint_graph.norm)  # type: ignore[assignment]
    if not row.part_graph:
        net.part_graph = NoPartGraph()  # type: ignore[assignment]
    return net


class Partial(GPNRecipe):
    """The recipe of GPN with a row's losses alone."""

    def __init__(self, row: Row, people: People, bodies: Bodies, groups: list[Group], epochs: int, steps: int) -> None:
        super().__init__(people, bodies, groups, epochs=epochs, rate=1e-3, teach=0.0, steps_an_epoch=steps)
        self.row = row

    def build(self, fresh: bool = True) -> GPNTraining:
        return GPNTraining(network(self.row), self.people.n_identities)

    def losses(self, model: Any, batch: tuple[Any, ...]) -> dict[str, Tensor]:
        return {key: value for key, value in super().losses(model, batch).items() if key in self.row.losses}


class Trained(GraphPoseNetwork):
    """A row's network as a backend: neck and stripes side by side, and parts where it has any."""

    views: ClassVar[dict[str, float]] = {"neck": 1.0, "stripes": 1.0}

    def __init__(self, row: Row, weights: Path) -> None:
        self.card = replace(
            Gpn.card,
            name=row.name,
            dim=sum(VIEWS[view] for view in self.views),
            parts=Gpn.card.parts if row.parts else (),
            input_size=SIZE,
        )
        self.row, self.file = row, weights

    def load(self) -> None:
        net = network(self.row)
        net.load_state_dict(load_file(self.file))
        self._net = self.prepare(net)


def data(paths: Mapping[str, Path]) -> tuple[People, Bodies, int]:
    """Market-1501's training people, then the rendered ones without identity; and how many are of Market-1501."""
    samples = [s for s in read_folder(paths["PARTWISE_MARKET1501"], "market1501") if s.split == "train"]
    market = sources.with_teachers(sources.unlabelled(samples, MASK), None, paths["PARTWISE_POSES"])
    drawn = sources.rendered(paths["PARTWISE_RENDERED"], MASK)
    drawn.identities = [""] * len(drawn.paths)
    people, bodies = sources.join([market, drawn], SIZE)
    return people, bodies, len(samples)


def main() -> None:
    if missing := [name for name in NEEDED if not os.environ.get(name)]:
        print(f"Passed over: {', '.join(missing)} not given.")
        return
    paths = {name: Path(os.environ[name]) for name in NEEDED}
    people, bodies, real = data(paths)
    groups = [Group(np.arange(real), people=12, views=4), Group(np.arange(real, len(people)), people=0, views=16)]
    print("| network | query hidden by | re-ranking | rank-1 | mAP | mINP |\n| --- | --- | --- | --- | --- | --- |")
    for row in ROWS:
        own = groups if row.losses != TRUNK else groups[:1]
        run = paths["PARTWISE_ABLATION"] / row.name.strip("+ ").replace(",", "").replace(" ", "-")
        weights = fit(Partial(row, people, bodies, own, EPOCHS, STEPS), run, resume=True)
        backend = Trained(row, weights)
        backend.load()
        occlusion.measure(backend, paths["PARTWISE_MARKET1501"])


if __name__ == "__main__":
    main()
