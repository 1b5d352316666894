"""Recipes by name: folders in, weights out; what is missing or unknown is said in a sentence."""

from dataclasses import fields

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file

from models.gpn.fea_net import FeaNet
from models.retrieval import TRUNKS
from reid.errors import DatasetError, PartwiseError, UnknownNameError, WeightsError
from reid.rendering import render_people
from reid.training.body_losses import UNKNOWN
from reid.training.recipes import RECIPES, TAKERS, Settings, train
from tests.reid.training.shapes import draw, tiny


@pytest.fixture
def market(tmp_path):
    folder = tmp_path / "market" / "bounding_box_train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for identity in (2, 7, 9, 11):
        for view in range(16):
            picture = np.clip(rng.integers(0, 60, (32, 16, 3)) + identity * 15, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{identity:04d}_c{view % 3 + 1}s1_{view:06d}_00.jpg"), picture)
    cv2.imwrite(str(folder / "0000_c1s1_000001_00.jpg"), np.zeros((32, 16, 3), np.uint8))
    return folder.parent


def test_the_trunk_trains_from_a_folder(market, tmp_path):
    lines = []
    weights = train(
        "trunk", {"market1501": market}, tmp_path / "run", Settings(epochs=1, size=(64, 32)), say=lines.append
    )
    FeaNet().load_state_dict(load_file(weights))
    assert '"epoch": 0' in lines[0]


def test_the_trunk_learns_things_beside_people(market, tmp_path):
    things = draw(tmp_path / "things", {"a": 9, "b": 9, "c": 9})
    lines = []
    data = {"market1501": market, "caltech101": things}
    train("trunk", data, tmp_path / "run", Settings(epochs=1, size=(64, 32)), say=lines.append)
    assert '"things"' in lines[0]


def test_the_trunk_trains_on_rendered_people(tmp_path):
    render_people(tmp_path / "drawn", 4, 4, cameras=2)
    recipe = RECIPES["trunk"]({"rendered": tmp_path / "drawn"}, Settings(epochs=1, size=(64, 32)))
    assert recipe.people.n_identities == 4
    assert len(recipe.people) == 16


def test_gpn_has_a_place_for_nobody_in_every_batch(market, tmp_path):
    data = {"market1501": market, "caltech101": draw(tmp_path / "things", {"Faces": 3, "chair": 5})}
    recipe = RECIPES["gpn"](data, Settings(epochs=1, size=(64, 32)))
    assert [(len(group.index), group.people) for group in recipe.groups] == [(64, 10), (5, 0)]
    pictures, identities, _, joints, _, masks, _, _ = next(iter(recipe.batches(0)))
    assert (identities[-4:] == -1).all()
    assert (joints[-4:, :, 2] <= 0).all()
    assert set(masks[-4:].unique().tolist()) <= {0, UNKNOWN}
    assert len(pictures) == 10 * 4 + 4


def test_a_frozen_gpn_sees_more_of_whom_all_is_known(market, tmp_path):
    render_people(tmp_path / "drawn", 4, 4, cameras=2)
    data = {"market1501": market, "rendered": tmp_path / "drawn"}
    for standing, people in (({}, [10, 7]), ({"frozen": True}, [5, 12]), ({"closer": True}, [5, 12])):
        settings = Settings(epochs=1, size=(64, 32), start=tmp_path / "gpn.safetensors", **standing)
        assert [group.people for group in RECIPES["gpn"](data, settings).groups] == people
        if standing:
            with pytest.raises(WeightsError, match="--start"):
                RECIPES["gpn"](data, Settings(**standing))


def test_unknown_names_are_refused(market, tmp_path):
    with pytest.raises(UnknownNameError, match="trunk"):
        train("dance", {}, tmp_path)
    with pytest.raises(UnknownNameError, match="market1501"):
        train("trunk", {"market": market}, tmp_path)
    with pytest.raises(UnknownNameError, match=r"market1501\.bones"):
        train("trunk", {"market1501": market, "market1501.bones": market}, tmp_path)


def test_a_setting_that_would_go_unheeded_is_refused(market, tmp_path):
    unheeded = {"trunk": Settings(frozen=True), "gpn": Settings(settle=True), "rfcn": Settings(grow=0.5)}
    for recipe, settings in unheeded.items():
        with pytest.raises(PartwiseError, match="does not heed --"):
            train(recipe, {"market1501": market}, tmp_path, settings)
    assert set(TAKERS) <= {field.name for field in fields(Settings)}
    assert {recipe for takers in TAKERS.values() for recipe in takers} <= set(RECIPES)


@pytest.mark.parametrize("recipe", ["trunk", "gpn", "gpn-synthetic"])
def test_a_recipe_without_data_says_what_to_give(recipe, tmp_path):
    with pytest.raises(DatasetError, match="--data"):
        train(recipe, {}, tmp_path)


def test_a_folder_without_people_is_refused(tmp_path):
    (tmp_path / "empty" / "bounding_box_train").mkdir(parents=True)
    with pytest.raises(DatasetError, match="empty"):
        train("trunk", {"market1501": tmp_path / "empty"}, tmp_path / "run")


class TestRetrieval:
    def test_people_and_things_train_one_network(self, market, tmp_path, monkeypatch):
        monkeypatch.setitem(TRUNKS, "alexnet.partwise", (tiny, 24, True))
        things = draw(tmp_path / "things", {"a": 9, "b": 9, "c": 9})
        lines = []
        weights = train(
            "retrieval",
            {"market1501": market, "caltech101": things},
            tmp_path / "run",
            Settings(epochs=1, size=(32, 32), arch="alexnet"),
            say=lines.append,
        )
        assert "neck.weight" in load_file(weights)
        assert '"class 0"' in lines[0]
        assert '"class 1"' in lines[0]

    def test_what_it_needs_is_named(self, tmp_path):
        with pytest.raises(UnknownNameError, match="alexnet, vggnet"):
            train("retrieval", {}, tmp_path, Settings(arch="lenet"))
        with pytest.raises(DatasetError, match="--data"):
            train("retrieval", {}, tmp_path, Settings(arch="vggnet"))


def test_a_gpu_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(PartwiseError, match="no GPU"):
        train("dpsnet", {"camvid": tmp_path}, tmp_path / "run", Settings(device="cuda"))
