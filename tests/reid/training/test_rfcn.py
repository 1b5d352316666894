"""R-FCN's recipe: a few steps lower every loss and find what is there; what to start from."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.dpsnet import DPSNet
from models.rfcn import RFCN, RFCNConfig
from reid.backends import Boxes
from reid.errors import WeightsError
from reid.images import load_image
from reid.training.finders import doubt
from reid.training.frames import WindowSettings
from reid.training.loop import fit
from reid.training.rfcn import FrameSource, RFCNRecipe, begin

from .street_frames import street_frames

TINY = RFCNConfig(channels=(8, 16, 16, 16), depths=(1, 1, 1), width=16, grid=3)
WINDOWS = WindowSettings(size=(96, 128), zoom=(0.8, 1.2), area=96 * 128, paste=0)


def test_training_lowers_the_losses_and_ships_the_network(tmp_path):
    source = FrameSource([(street_frames(tmp_path, 24), 1.0)], WINDOWS)
    recipe = RFCNRecipe(source, epochs=4, config=TINY, rate=5e-3, size=4, windows=32, warm_up=0.1)
    weights = fit(recipe, tmp_path / "run", say=lambda line: None)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["objectness"] < 0.7 * log[0]["objectness"]
    assert log[-1]["class"] < 0.9 * log[0]["class"]
    RFCN(TINY).load_state_dict(load_file(weights))


def test_epochs_are_the_same_whenever_they_are_run(tmp_path):
    recipe = RFCNRecipe(FrameSource([(street_frames(tmp_path, 4), 1.0)], WINDOWS), epochs=2, config=TINY, size=2)
    (x, _), (again, _) = next(recipe.batches(1)), next(recipe.batches(1))
    torch.testing.assert_close(x, again)
    assert not torch.equal(x, next(recipe.batches(0))[0])


def test_groups_are_drawn_by_their_shares(tmp_path):
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    few, many = street_frames(tmp_path / "few", 1), street_frames(tmp_path / "many", 5)
    for frame in few:
        frame.boxes[:] = 0  # nothing is left to find
    source = FrameSource([(few, 3.0), (many, 1.0)], WINDOWS)
    _, targets = source.draw(100, np.random.default_rng(0))
    empty = sum(len(t.boxes) + len(t.doubtful) == 0 for t in targets)
    assert 60 < empty < 95


def test_a_backbone_of_another_network_is_taken_over(tmp_path):
    donor = DPSNet()
    config = RFCNConfig(channels=donor.config.channels, depths=donor.config.depths)
    network = RFCN(config)
    begin(network, donor.state_dict())
    own, theirs = network.pyramid.backbone.state_dict(), donor.context.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in own.items())


def test_blocks_that_the_donor_lacks_start_as_their_shortcuts():
    deeper = RFCN(replace(TINY, depths=(1, 2, 1)))
    begin(deeper, RFCN(TINY).pyramid.state_dict(prefix="pyramid.") | {"else": torch.zeros(1)})
    shallow = RFCN(TINY)
    shallow.pyramid.backbone.load_state_dict(
        {k: v for k, v in deeper.pyramid.backbone.state_dict().items() if not k.startswith("stages.1.1.")}
    )
    x = torch.rand(1, 3, 64, 64)
    pairs = zip(deeper.pyramid.backbone.eval()(x), shallow.pyramid.backbone.eval()(x), strict=True)
    for deep, flat in pairs:
        torch.testing.assert_close(deep, flat)


def test_an_own_network_is_taken_over_whole(tmp_path):
    save_file(RFCN(TINY).state_dict(), str(tmp_path / "w.safetensors"))
    source = FrameSource([(street_frames(tmp_path, 1), 1.0)], WINDOWS)
    recipe = RFCNRecipe(source, epochs=1, config=TINY, start=tmp_path / "w.safetensors")
    torch.testing.assert_close(recipe.build().state_dict(), dict(load_file(tmp_path / "w.safetensors")))


def test_a_backbone_of_another_shape_is_refused():
    with pytest.raises(WeightsError, match="backbone"):
        begin(RFCN(TINY), DPSNet().state_dict())


def test_scores_of_what_ships_are_best_cut_at_one_half(tmp_path):
    """Of a network that calls everything a person with much confidence, only the surest part is right."""
    frames = street_frames(tmp_path, 4)
    true = [frame.of("person") for frame in frames]

    def find(picture):
        i = next(i for i, frame in enumerate(frames) if np.array_equal(picture, load_image(frame.path)))
        boxes = np.concatenate([true[i], np.array([[0, 0, 9, 9], [90, 70, 110, 90]], np.float32)])
        return Boxes(boxes, ("person",) * 3, np.array([0.95, 0.85, 0.8], np.float32))

    assert doubt(find, {"streets": frames}) == pytest.approx(np.log(0.9 / 0.1), rel=1e-5)
    assert doubt(lambda picture: Boxes(np.zeros((0, 4), np.float32), (), np.zeros(0, np.float32)), {"s": frames}) == 0
