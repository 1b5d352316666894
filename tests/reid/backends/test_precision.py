"""bfloat16 is used where the processor has it, and moves no box and no label by more than a hair."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from reid import backends
from reid.backends import precision
from reid.images import load_image

SCENE = Path(__file__).parents[3] / "gallery" / "scenes" / "0001_01.jpg"


@pytest.fixture
def flags(monkeypatch):
    """Makes the processor say that it has these abilities, or nothing at all."""

    def say(text):
        precision.bf16_is_fast.cache_clear()

        def read(path):
            if text is None:
                raise FileNotFoundError(path)
            return text

        monkeypatch.setattr(precision.Path, "read_text", read)

    yield say
    precision.bf16_is_fast.cache_clear()


@pytest.mark.parametrize(
    ("text", "fast"), [("flags: sse amx_bf16", True), ("avx512_bf16", True), ("avx2", False), (None, False)]
)
def test_it_depends_on_the_processor(flags, text, fast):
    flags(text)
    assert precision.bf16_is_fast() == fast
    with precision.autocast():
        assert torch.is_autocast_enabled("cpu") == fast


def test_a_finder_finds_the_same_in_both(monkeypatch):
    finder, frame = backends.get("rfcn"), load_image(SCENE)
    found = {}
    for fast in (True, False):
        monkeypatch.setattr(precision, "bf16_is_fast", lambda fast=fast: fast)
        found[fast] = finder.find(frame)
    sure = [np.flatnonzero(boxes.scores >= 0.5) for boxes in found.values()]
    assert len(sure[0])
    assert len(sure[0]) == len(sure[1])
    coarse, fine = (boxes.xyxy[kept] for boxes, kept in zip(found.values(), sure, strict=True))
    assert (box_iou(torch.from_numpy(coarse), torch.from_numpy(fine)).amax(1) > 0.9).all()


def test_a_parser_says_nearly_the_same_in_both_and_its_vectors_stay(monkeypatch):
    parser, frame = backends.get("dpsnet"), load_image(SCENE)
    parser.load()
    seen = []
    labels, vectors = {}, {}
    paths = parser._net.local, parser._net.context.stem
    handles = [path.register_forward_hook(lambda _module, _given, out: seen.append(out)) for path in paths]
    for fast in (True, False):
        monkeypatch.setattr(precision, "bf16_is_fast", lambda fast=fast: fast)
        vectors[fast] = parser.embed([frame]).global_
        assert [x.dtype for x in seen] == [torch.float32] * 2
        seen.clear()
        labels[fast] = parser.parse(frame).labels
        # The local path comes first.
        assert [x.dtype for x in seen] == [torch.float32, torch.bfloat16 if fast else torch.float32]
        seen.clear()
    for handle in handles:
        handle.remove()
    np.testing.assert_array_equal(vectors[True], vectors[False])
    assert (labels[True] == labels[False]).mean() > 0.995
