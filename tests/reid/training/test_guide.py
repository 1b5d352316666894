"""The guide looks at the same crops, and what follows it learns to say the same."""

import json

import pytest
import torch
from safetensors.torch import load_file

from models.dpsnet import DPSNet
from reid.backends import get
from reid.training.augmentation import MEAN, STD
from reid.training.dpsnet import LRASPP
from reid.training.guide import CHANNELS, Followers, Guide
from reid.training.loop import fit
from tests.reid.training.test_dpsnet import TINY, recipe


def test_the_guide_sees_half_the_size_as_its_backend_does():
    pictures = torch.rand(2, 3, 128, 192)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    middle, last = Guide()((pictures - mean) / std)
    assert middle.shape == (2, CHANNELS[0], 4, 6)
    assert last.shape == (2, CHANNELS[1], 2, 3)
    network = get("lite0").network
    small = torch.nn.functional.avg_pool2d(pictures, 2) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(last, network.blocks(network.stem(small)), atol=1e-3)


def test_a_follower_that_says_the_same_has_no_loss():
    followers = Followers(8)
    x = torch.randn(2, 8, 4, 6)
    told = [torch.nn.functional.adaptive_avg_pool2d(f(x), (2, 3)).detach() for f in followers]
    assert followers.loss(x, told).item() == pytest.approx(0, abs=1e-5)
    opposite = followers.loss(x, [-3 * one for one in told])
    assert opposite.item() == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("rival", [False, True])
def test_a_guided_run_follows_and_ships_the_same_network(rival, tmp_path):
    run = recipe(epochs=6, rate=3e-3, teach=1.0, rival=rival)
    weights = fit(run, tmp_path, ema_decay=0.7, say=lambda line: None)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["guide"] < log[0]["guide"]
    (LRASPP().net if rival else DPSNet(TINY)).load_state_dict(load_file(weights))
