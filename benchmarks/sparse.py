"""What sparse convolution saves: by layer, on DPSNet's local path, on the whole network; and what it costs in mIoU.

Frames are drawn, 480x360, and magnified to 576x432 as the backend does it; the rival takes them as they are, and so
does DPSNet once. Networks compute as `parse` has them, the context path in bfloat16 where that is fast; the rival in
single precision, and in bfloat16. Norms are folded into convolutions, the rival's too.
Runs are measured in turn, so that a busy machine slows all alike, and the best of many rounds counts: processor time of
one thread, then wall clock of all. mIoU needs weights that ship and CamVid, whose folder PARTWISE_CAMVID names.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from models.dpsnet import DPSNet, LocalPath, Rulebook, active_sites
from models.dpsnet.network import CELL, Grid
from reid.backends.dpsnet import AREA, DPSNetScenes
from reid.backends.precision import autocast

SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)
ROUNDS = 15


def main() -> None:
    threads = torch.get_num_threads()
    with torch.inference_mode():
        torch.set_num_threads(1)
        _layers()
        _networks("processor ms, one thread", time.thread_time)
        torch.set_num_threads(threads)
        if threads > 1:
            _networks(f"ms on {threads} threads", time.perf_counter)
        _figures()


def _layers() -> None:
    print("| 3x3 layer on 144x108 cells, processor ms, one thread | dense | 12.5 % active | 25 % | 50 % |")
    print("| --- | --- | --- | --- | --- |")
    picture = _frame()
    for channels in (64, 96, 128):
        x = torch.randn(1, channels, 108, 144).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(channels, channels, 3, 3).contiguous(memory_format=torch.channels_last)
        layer = LocalPath(channels, 1).to(memory_format=torch.channels_last).blocks[0].convs[0]
        runs: list[Callable[[], object]] = [lambda x=x, weight=weight: F.conv2d(x, weight, padding=1)]
        for share in SHARES[:3]:
            sites = active_sites(picture, CELL, share)
            table, rulebook = sites.gather(x), Rulebook(sites, sites)
            runs.append(lambda layer=layer, table=table, rulebook=rulebook: layer(table, rulebook))
        cells = " | ".join(f"{ms:.2f}" for ms in _measure(runs, time.thread_time))
        print(f"| {channels} -> {channels} channels | {cells} |", flush=True)


def _networks(what: str, clock: Callable[[], float]) -> None:
    """The local path with all that it needs (sites, rulebooks, scatter), and the whole network, beside the rival."""
    net, twin = DPSNet(), DPSNet(dense=True)
    twin.load_state_dict(net.state_dict())
    for one in (net, twin):
        one.fuse().to(memory_format=torch.channels_last)
    rival = _rival()
    picture, plain = _frame(), _frame(magnified=False)

    def local(one: DPSNet, share: float) -> Tensor:
        grid = Grid.of(picture, share, one.dense)
        table = one.local(picture, grid)
        return table if one.dense else grid.sites.scatter(table)

    def whole(one: DPSNet, frame: Tensor = picture, share: float | None = None) -> object:
        return one(frame, share, autocast())

    def quick_rival() -> object:
        with autocast():
            return rival(plain)

    runs: list[Callable[[], object]] = [lambda: local(twin, 1.0), lambda: whole(twin), lambda: whole(net, plain)]
    runs += [lambda: rival(plain), quick_rival]
    for share in SHARES:
        runs += [lambda share=share: local(net, share), lambda share=share: whole(net, share=share)]
    dense_local, dense_whole, as_it_is, other, other_quick, *rest = _measure(runs, clock)
    print(f"\n| {what}, a frame of 480x360 | local path | dense twin / this | whole network |")
    print("| --- | --- | --- | --- |")
    print(f"| dense twin | {dense_local:.1f} | 1.00 | {dense_whole:.1f} |")
    for share, path, all_of_it in zip(SHARES, rest[::2], rest[1::2], strict=True):
        print(f"| {share:.1%} active | {path:.1f} | {dense_local / path:.2f} | {all_of_it:.1f} |")
    print(f"| {net.config.active:.1%} active, the frame as it is | | | {as_it_is:.1f} |")
    print(f"| LR-ASPP MobileNetV3-Large | | | {other:.1f} |")
    print(f"| the same in bfloat16 where that is fast | | | {other_quick:.1f} |", flush=True)


def _rival() -> nn.Module:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    rival: nn.Module = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=11).eval()
    for module in rival.modules():
        if isinstance(module, nn.Sequential):
            first, *others = module
            if isinstance(first, nn.Conv2d) and others and isinstance(others[0], nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(first, others[0]), nn.Identity()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in rival.modules())
    return rival.to(memory_format=torch.channels_last)


def _figures() -> None:
    root = os.environ.get("PARTWISE_CAMVID")
    if not root or not DPSNetScenes.weights_sha256:
        return
    from reid.backends.weights import load_weights
    from reid.training.dpsnet import SIZE, parsing_figures
    from reid.training.scenes import camvid

    state = load_weights(str(DPSNetScenes.card.weights), DPSNetScenes.weights_sha256)
    measure = parsing_figures(camvid(Path(root), ["test"], SIZE), math.sqrt(AREA / (SIZE[0] * SIZE[1])))
    print("\n| CamVid test | mIoU | pixel accuracy |\n| --- | --- | --- |")
    for share in (*SHARES[:-1], None):
        net = DPSNet(dense=share is None)
        net.load_state_dict(state)
        net.fuse().to(memory_format=torch.channels_last)
        figures = measure(net if share is None else lambda x, net=net, share=share: net(x, share))
        name = "dense twin" if share is None else f"{share:.1%} active"
        print(f"| {name} | {figures['mIoU']:.1f} | {figures['pixel_accuracy']:.1f} |", flush=True)


def _frame(magnified: bool = True) -> Tensor:
    """Boxes over boxes: edges here and there, as in a street."""
    rng = np.random.default_rng(0)
    picture = np.zeros((360, 480, 3), np.float32)
    for _ in range(150):
        y, x = rng.integers(0, 340), rng.integers(0, 460)
        picture[y : y + rng.integers(8, 120), x : x + rng.integers(8, 120)] = rng.normal(size=3)
    picture += rng.normal(scale=0.05, size=picture.shape)
    if magnified:
        picture = cv2.resize(picture, (576, 432), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float().contiguous(memory_format=torch.channels_last)


def _measure(runs: Sequence[Callable[[], object]], clock: Callable[[], float]) -> list[float]:
    """The best time of each in milliseconds, taken in turn so that a busy machine slows all alike."""
    best = [float("inf")] * len(runs)
    for i in range(ROUNDS + 1):
        for j, run in enumerate(runs):
            start = clock()
            run()
            if i:
                best[j] = min(best[j], 1000 * (clock() - start))
    return best


if __name__ == "__main__":
    main()
