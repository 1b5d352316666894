"""Protocols run end to end with a backend whose answers can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reid import reports
from reid.backends import Backend, Card, Parse, register, registry
from reid.embedding import Embedding, Embeddings
from reid.errors import DatasetError, PartwiseError, UnknownNameError
from reid.images import save_image
from reid.reports import evaluate


def turned(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


@pytest.fixture(autouse=True)
def backends(monkeypatch):
    """Three backends: `angle` looks at the red value alone, `halves` at both halves too, `parser` at each pixel."""
    monkeypatch.setattr(registry, "FAMILY_MODULES", ())
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_instances", {})

    class Angle(Backend):
        def load(self) -> None:
            pass

        def embed(self, pictures):
            return Embeddings.of(np.stack([turned(picture[0, 0, 0]) for picture in pictures]))

        def keypoints(self, picture):
            return int(picture[0, 0, 1])

    class Halves(Angle):
        def embed(self, pictures):
            one = [
                Embedding.of(
                    turned(p[0, 0, 0]),
                    np.stack([turned(p[0, 0, 1]), turned(p[-1, 0, 1])]),
                    np.array([p[0, 0, 2], p[-1, 0, 2]]) / 255,
                )
                for p in pictures
            ]
            return Embeddings.stack(one)

    class Parser(Backend):
        def load(self) -> None:
            pass

        def parse(self, picture):
            return Parse(picture[..., 0], ("Road", "Sky", "moon"), np.zeros((3, 3), np.uint8))

    common = {"family": "baseline", "subject": "any", "summary": "for tests"}
    register(Card(name="angle", does=("embed",), dim=2, **common))(Angle)
    register(Card(name="halves", does=("embed",), dim=2, parts=("upper", "lower"), **common))(Halves)
    register(Card(name="parser", does=("parse",), **common))(Parser)


def paint(path: Path, *colours: tuple[int, int, int]) -> None:
    """A picture of horizontal stripes."""
    save_image(path, np.concatenate([np.full((16, 16, 3), colour, np.uint8) for colour in colours]))


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """One query at 10 degrees; its match is nearer than a distractor, its second match farther."""
    reds = {
        "query/0001_c1s1_000001_00.png": 10,
        "query/0009_c1s1_000001_00.png": 50,  # has no match: not counted
        "bounding_box_test/0001_c1s1_000002_00.png": 10,  # same camera: left out
        "bounding_box_test/-1_c2s1_000002_00.png": 10,  # junk
        "bounding_box_test/0001_c2s1_000002_00.png": 12,
        "bounding_box_test/0000_c2s1_000002_00.png": 20,
        "bounding_box_test/0001_c3s1_000002_00.png": 30,
        "bounding_box_test/0002_c3s1_000002_00.png": 80,
    }
    for name, red in reds.items():
        paint(tmp_path / name, (red, 0, 0))
    return tmp_path


def test_market1501(market: Path):
    (market / "query" / "Thumbs.db").write_bytes(b"\xd0\xcf")
    (market / "bounding_box_test" / "0001_c4s1_000002_00.jpg").write_bytes(b"\xff\xd8\xff cut off")
    steps: list[tuple[int, int]] = []
    left_out: dict[str, str] = {}
    result = evaluate(
        market,
        "market1501",
        "angle",
        progress=lambda done, total: steps.append((done, total)),
        on_error=lambda path, why: left_out.update({path.name: why}),
    )
    assert list(result) == ["rank1", "rank5", "rank10", "mAP", "mINP", "queries", "gallery", "ms_per_image"]
    assert result["ms_per_image"] > 0
    del result["ms_per_image"]
    assert result == {
        "rank1": 100,
        "rank5": 100,
        "rank10": 100,
        "mAP": pytest.approx(100 * (1 + 2 / 3) / 2),
        "mINP": pytest.approx(100 * 2 / 3),
        "queries": 1,
        "gallery": 5,
    }
    assert steps[-1] == (8, 8)
    assert left_out["Thumbs.db"] == "no picture"
    assert "damaged" in left_out["0001_c4s1_000002_00.jpg"]
    json.dumps(result, allow_nan=False)


def test_parts_reorder_the_shortlist(tmp_path: Path, monkeypatch):
    wanted, other = (40, 90, 255), (40, 0, 255)
    paint(tmp_path / "query" / "0001_c1_0_.png", wanted, wanted)
    paint(tmp_path / "bounding_box_test" / "0001_c2_0_.png", (50, 90, 255), (50, 0, 0))  # lower half hidden
    paint(tmp_path / "bounding_box_test" / "0002_c2_0_.png", (44, 0, 255), other)
    paint(tmp_path / "bounding_box_test" / "0003_c2_0_.png", (90, 90, 255), (90, 90, 255))
    assert evaluate(tmp_path, "market1501", "halves")["rank1"] == 0
    assert evaluate(tmp_path, "market1501", "halves", "parts")["rank1"] == 100
    monkeypatch.setitem(reports.SHORTLIST, "parts", 1)  # the match is second, so nothing may change
    assert evaluate(tmp_path, "market1501", "halves", "parts") | {"ms_per_image": 0} == evaluate(
        tmp_path, "market1501", "halves"
    ) | {"ms_per_image": 0}


def test_geometry_reorders_the_shortlist(market: Path, monkeypatch):
    """Inliers are the product of the green values: the far match has 20, the rest too few to count."""
    from reid.search import geometry

    monkeypatch.setattr(
        geometry, "verify", lambda query, item: type("Matches", (), {"inliers": query * item})(), raising=True
    )
    paint(market / "query" / "0001_c1s1_000001_00.png", (10, 1, 0))
    paint(market / "bounding_box_test" / "0001_c3s1_000002_00.png", (30, 20, 0))
    paint(market / "bounding_box_test" / "0002_c3s1_000002_00.png", (80, 7, 0))
    steps: list[tuple[int, int]] = []
    result = evaluate(
        market, "market1501", "angle", "geometry", progress=lambda done, total: steps.append((done, total))
    )
    assert result["mAP"] == pytest.approx(100)
    assert steps[-1] == (9, 9)


def test_rendered_and_cuhk03(tmp_path: Path):
    for camera, red in ((1, 10), (2, 12)):
        for frame in (0, 1):
            paint(tmp_path / "people" / f"0001_c{camera}s1_00000{frame}_00.png", (red, 0, 0))
            paint(tmp_path / "people" / f"0002_c{camera}s1_00000{frame}_00.png", (red + 60, 0, 0))
    result = evaluate(tmp_path / "people", "rendered", "angle")
    assert (result["rank1"], result["mAP"], result["queries"], result["gallery"]) == (100, pytest.approx(100), 4, 4)
    for name, red in (("0001_00", 10), ("0001_05", 12), ("0002_01", 70), ("0002_07", 5)):
        paint(tmp_path / "cuhk" / f"{name}.png", (red, 0, 0))
    result = evaluate(tmp_path / "cuhk", "cuhk03", "angle")
    assert (result["rank1"], result["queries"], result["gallery"]) == (50, 2, 2)


def test_relevance(tmp_path: Path):
    for name, red in (("a/1", 10), ("a/2", 20), ("b/1", 12), ("b/2", 80), ("alone/1", 60)):
        paint(tmp_path / f"{name}.png", (red, 0, 0))
    result = evaluate(tmp_path, "folders", "angle")
    # Rank of the one match: a/1 and a/2 behind b/1: 2; b/1 behind a/1, a/2, alone: 4; b/2 behind alone, a/2: 3.
    assert result == {
        "P10": pytest.approx(10),
        "mAP": pytest.approx(100 * (1 / 2 + 1 / 2 + 1 / 4 + 1 / 3) / 4),
        "queries": 4,
    }


def test_camvid(tmp_path: Path):
    predicted = np.zeros((16, 16, 3), np.uint8)
    predicted[:4] = 1  # sky over road by the parser's own numbering, and a corner of what CamVid has no name for
    predicted[-1, :8] = 2
    truth = np.full((16, 16), 3, np.uint8)
    truth[:8] = 0
    truth[8] = 11
    save_image(tmp_path / "test" / "a.png", predicted)
    save_image(tmp_path / "testannot" / "a.png", truth)
    (tmp_path / "test" / "b.png").write_bytes(b"no picture")
    save_image(tmp_path / "testannot" / "b.png", truth)
    left_out: list[str] = []
    result = evaluate(tmp_path, "camvid", "parser", on_error=lambda path, why: left_out.append(path.name))
    assert list(result) == ["mIoU", "pixel_accuracy", "classes", "ms_per_image"]
    sky, road = 64 / 128, (112 - 8) / (112 + 64)
    assert result["classes"]["sky"] == pytest.approx(100 * sky)
    assert result["classes"]["road"] == pytest.approx(100 * road)
    assert result["classes"]["car"] is None
    assert result["mIoU"] == pytest.approx(50 * (sky + road))
    assert result["pixel_accuracy"] == pytest.approx(100 * (64 + 104) / 240)
    assert left_out == ["b.png"]
    json.dumps(result, allow_nan=False)
    save_image(tmp_path / "testannot" / "a.png", truth[:, :15])
    with pytest.raises(DatasetError, match="its frame is"):
        evaluate(tmp_path, "camvid", "parser")


def test_what_cannot_be_evaluated_is_said(market: Path, tmp_path: Path):
    with pytest.raises(UnknownNameError, match="layout 'flat'"):
        evaluate(market, "flat", "angle")
    with pytest.raises(UnknownNameError, match="re-ranking 'magic'"):
        evaluate(market, "market1501", "angle", "magic")
    with pytest.raises(UnknownNameError, match="no backend 'sift'"):
        evaluate(market, "market1501", "sift")
    with pytest.raises(PartwiseError, match="angle has no parts"):
        evaluate(market, "market1501", "angle", "parts")
    with pytest.raises(PartwiseError, match="parser does not embed; backends that do: angle, halves"):
        evaluate(market, "market1501", "parser")
    with pytest.raises(PartwiseError, match="angle does not parse; backends that do: parser"):
        evaluate(market, "camvid", "angle")
    with pytest.raises(PartwiseError, match="no ranking"):
        evaluate(market, "camvid", "parser", "parts")
    for path in (market / "query").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="None of the pictures"):
        evaluate(market, "market1501", "angle")
