"""The recipe of scene parsing: a few steps lower the losses; streets come and go; the rival takes the same batches."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch._subclasses.fake_tensor import FakeTensorMode

from models.dpsnet import DPSNet, DPSNetConfig
from models.efficientnet_lite import EfficientNetLite0
from reid.datasets import CAMVID_VOID
from reid.errors import DatasetError
from reid.images import save_image
from reid.training.dpsnet import (
    LRASPP,
    FloatConv2d,
    PointwiseConv2d,
    SceneBatch,
    SceneRecipe,
    SceneTraining,
    parsing_figures,
)
from reid.training.loop import fit
from reid.training.recipes import RECIPES, Settings, train
from reid.training.scenes import Plan, SceneAugmentation, Scenes

TINY = DPSNetConfig(local=16, blocks=1, channels=(8, 12, 16, 24), depths=(1, 1, 1), width=12)
CALM = SceneAugmentation(scale=(0.8, 1.25))


def coloured_scenes(n=8, height=48, width=64, seed=0):
    """Skies over roads, with boxes between: each class has its colour."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((n, height, width), np.uint8)
    labels[:, height // 2 :] = 3
    for one in labels:
        for label in (1, 5, 8):
            y, x = rng.integers(8, height - 24), rng.integers(0, width - 24)
            one[y : y + 20, x : x + 20] = label
    colours = np.random.default_rng(1).integers(0, 256, (11, 3))
    pictures = np.clip(colours[labels] + rng.integers(-10, 10, (n, height, width, 3)), 0, 255)
    return Scenes(pictures.astype(np.uint8), labels)


def recipe(**settings):
    given = {"epochs": 2, "config": TINY, "size": (48, 64), "batch": 4, "augmentation": CALM} | settings
    return SceneRecipe(coloured_scenes(), **given)


def test_training_lowers_the_losses_and_ships_dpsnet(tmp_path):
    scenes = coloured_scenes(4, seed=5)
    run = recipe(epochs=20, rate=5e-3, validation=parsing_figures(scenes), evaluate_every=20)
    weights = fit(run, tmp_path, ema_decay=0.7, say=lambda line: None)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for name in ("parse", "iou", "coarse", "middle", "wide", "local"):
        assert log[-1][name] < log[0][name], name
    assert log[-1]["pixel_accuracy"] > 55
    assert "mIoU" not in log[0]
    net = DPSNet(TINY)
    net.load_state_dict(load_file(weights))
    assert parsing_figures(scenes)(net.eval())["mIoU"] == pytest.approx(log[-1]["mIoU"], abs=0.01)


def test_batches_are_the_same_whenever_an_epoch_is_run():
    first, again = (list(recipe().batches(1)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.plan[:-1], b.plan[:-1], strict=True))
        assert (a.plan.size, a.share) == (b.plan.size, b.share)
    assert not torch.equal(first[0].plan.to_frame, next(recipe().batches(0)).plan.to_frame)


def test_streets_come_first_and_fade():
    run = recipe(streets=coloured_scenes(3, seed=2), epochs=10, extra=4)
    frames = [next(run.batches(epoch)).plan.frames for epoch in range(0, 10, 3)]
    assert [len(chosen) for chosen in frames] == [8, 6, 4, 4]
    assert (frames[0][:4] < 8).all()
    assert ((frames[0][4:] >= 8) & (frames[0][4:] < 11)).all(), "streets lie behind the frames"


def test_a_growing_run_starts_small():
    run = recipe(epochs=4, grow=0.5)
    assert [next(run.batches(epoch)).plan.size for epoch in range(4)] == [(32, 48), (32, 48), (48, 64), (48, 64)]


def test_the_share_of_active_sites_varies_and_all_means_dense():
    run = recipe()
    model = run.build()
    batch = next(run.batches(0))
    run.losses(model, batch._replace(share=1.0))
    assert model.net.dense
    run.losses(model, batch._replace(share=0.5))
    assert not model.net.dense
    run.losses(model, batch._replace(share=1.0))
    run.evaluate(model, 0)
    assert not model.net.dense
    assert len({batch.share for epoch in range(10) for batch in run.batches(epoch)}) > 2


def test_a_batch_of_void_leaves_the_losses_finite():
    run = recipe()
    losses = run.losses_of(
        run.build(), torch.randn(2, 3, 48, 64), torch.full((2, 48, 64), 11), torch.zeros(2, dtype=torch.int64), 0.25
    )
    assert sum(losses.values()).item() == 0


@pytest.mark.parametrize("rival", [False, True])
def test_training_goes_on_from_weights(rival, tmp_path):
    before = recipe(rival=rival)
    state = before.shipped(before.build())
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "start.safetensors")
    run = recipe(rival=rival, start=tmp_path / "start.safetensors")
    assert all(torch.equal(value, state[key]) for key, value in run.shipped(run.build()).items())


def test_the_rival_takes_the_same_losses():
    run = recipe(rival=True)
    model = run.build()
    losses = run.losses(model, next(run.batches(0)))
    assert set(losses) == {"parse", "iou"}
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert run.name == "lraspp"
    assert set(run.shipped(model)) == set(LRASPP().net.state_dict())
    out = model.eval()(torch.randn(1, 3, 48, 64))["logits"]
    assert out.shape == (1, 11, 6, 8)


def test_the_command_trains_from_folders(tmp_path):
    scenes = coloured_scenes(4)
    for split in ("train", "val"):
        for i in range(2):
            save_image(tmp_path / split / f"{i}.png", scenes.pictures[i])
            save_image(tmp_path / f"{split}annot" / f"{i}.png", scenes.labels[i])
    lines = []
    data = {"camvid": tmp_path}
    weights = train("dpsnet", data, tmp_path / "run", Settings(epochs=1, size=(48, 64)), say=lines.append)
    DPSNet().load_state_dict(load_file(weights))
    assert '"mIoU"' in lines[0]
    lines.clear()
    train(
        "dpsnet", data | {"camvid-val": tmp_path}, tmp_path / "all", Settings(epochs=1, size=(48, 64)), say=lines.append
    )
    assert '"mIoU"' not in lines[0], "what is trained on measures nothing"
    settled = RECIPES["dpsnet"](data, Settings(settle=True, teach=0))
    pictures, labels = settled.crops(next(settled.batches(0)).plan)
    assert pictures.shape[2:] == labels.shape[1:] == (432, 576)  # as the backend parses frames of 360x480
    assert (labels == CAMVID_VOID).float().mean() < 0.2, "crops hardly reach beyond the frame"
    with pytest.raises(DatasetError, match="camvid-val"):
        train("lraspp", {}, tmp_path / "none")


def test_the_rivals_depthwise_convolutions_are_reckoned_in_float32():
    rival = LRASPP()
    inner = [m for m in rival.modules() if isinstance(m, torch.nn.Conv2d) and m.groups > 1]
    assert inner
    assert all(type(m) is FloatConv2d for m in inner)
    conv = FloatConv2d(4, 4, 3, groups=4, dilation=2, bias=False)
    x = torch.randn(1, 4, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        out = conv(x.bfloat16())
    exact = torch.nn.Conv2d.forward(conv, x.bfloat16().float())
    assert torch.equal(out, exact.bfloat16())


def test_the_rivals_matrix_products_are_its_pointwise_convolutions():
    conv = PointwiseConv2d(5, 7, 1)
    x = torch.randn(2, 5, 6, 4).to(memory_format=torch.channels_last)
    torch.testing.assert_close(conv(x), torch.nn.functional.conv2d(x, conv.weight, conv.bias))
    changed = [m for m in LRASPP().modules() if type(m) is PointwiseConv2d]
    assert {m.kernel_size for m in changed} == {(1, 1)}
    assert {m.stride for m in changed} == {(1, 1)}


@pytest.mark.skipif(torch.version.cuda is None, reason="this PyTorch knows no GPU")
@pytest.mark.parametrize("rival", [False, True])
def test_on_a_gpu_nothing_stays_behind(rival, monkeypatch):
    """Shapes and devices alone are followed, on a GPU that need not be there: a tensor left elsewhere is an error, and
    so is a question that the GPU would have to answer before the next step is recorded.
    """
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda *a, **k: True)
    run = recipe(rival=rival, teach=1.0)
    run.device = torch.device("cuda")
    batch = next(run.batches(0))
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device("cuda"):
            run.guide.network = EfficientNetLite0().eval()
            run.guide.gain = run.guide.shift = torch.rand(1, 3, 1, 1)
            run.weights = torch.rand(11)
            model = LRASPP(guided=True) if rival else SceneTraining(DPSNet(TINY), guided=True)
            for name, value in list(run.crops.named_buffers()):
                setattr(run.crops, name, torch.empty(value.shape, dtype=value.dtype))
            plan = Plan(*(torch.empty(x.shape, dtype=x.dtype) for x in batch.plan[:-1]), batch.plan.size)
        for share in (0.25, 1.0):
            losses = run.losses(model, SceneBatch(plan, share))
            assert {loss.device.type for loss in losses.values()} == {"cuda"}
            assert "guide" in losses
