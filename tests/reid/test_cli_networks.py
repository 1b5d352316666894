"""The command line of networks: fine-tuning, teaching, pushing, fusion, expansion and feedback."""

import json

import numpy as np
import pytest
import torch

from models.retrieval import TRUNKS, build
from reid import backends
from reid.backends.saved import NetworkConfig, keep
from reid.cli import main
from tests.reid.training.shapes import draw, tiny


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTWISE_DATA", str(tmp_path / "data"))
    yield
    for name in ("alexnet.random", "alexnet.shapes"):
        backends.registry.forget(name)


@pytest.fixture
def shapes(tmp_path):
    return draw(tmp_path / "shapes", {"lying": 8, "upright": 8, "chequered": 8})


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setitem(TRUNKS, "alexnet.partwise", (tiny, 24, True))
    torch.manual_seed(0)
    keep("alexnet.random", build("alexnet.partwise").eval(), NetworkConfig("alexnet.partwise", 24, input_size=(32, 32)))


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, (json.loads(out) if "--json" in arguments and status == 0 else out), err


class TestTraining:
    def test_a_gallery_fine_tunes_a_network_that_can_then_be_searched_with(self, capsys, shapes, network):
        run(capsys, "index", shapes, "--gallery", "shapes", "--layout", "folders", "--backend", "hsv-stripes")
        status, out, _ = run(
            capsys, "train", "retrieval", "--arch", "alexnet.random", "--gallery", "shapes", "--epochs", 2
        )
        assert status == 0
        assert "alexnet.shapes: held-out mAP" in out
        picture = shapes / "lying" / "000.png"
        run(capsys, "index", shapes, "--gallery", "shapes", "--layout", "folders", "--backend", "alexnet.shapes")
        search = ("search", picture, "--gallery", "shapes", "--backend")
        status, found, _ = run(capsys, *search, "alexnet.shapes", "--json")
        assert found["hits"][0]["name"] == "lying/000.png"
        assert run(capsys, "forget", "alexnet.shapes")[0] == 0
        status, _, err = run(capsys, *search, "alexnet.shapes", "--json")
        assert status == 2
        assert "no backend" in err

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ((), "--arch"),
            (("--arch", "resnet"), "one set"),
            (("--arch", "hsv-stripes", "--data", "x={shapes}"), "not fine-tuned"),
            (("--arch", "alexnet.random", "--data", "x={shapes}/lying"), "more classes"),
            (("--arch", "alexnet.random", "--data", "x={shapes}", "--ordered"), "number"),
            (("--arch", "alexnet.random", "--data", "random={shapes}"), "already"),
            (("--arch", "alexnet.random", "--data", "x={shapes}", "--tag", "Über"), "small letters"),
        ],
    )
    def test_bad_input_is_one_line(self, capsys, shapes, network, arguments, says):
        given = [a.replace("{shapes}", str(shapes)) for a in arguments]
        status, _, err = run(capsys, "train", "retrieval", *given)
        assert status == 2
        assert says in err.strip().splitlines()[-1]

    def test_lessons_are_written_with_their_boxes(self, capsys, shapes, tmp_path):
        out = tmp_path / "lessons.npz"
        given = ("embed", shapes, "--backend", "hsv-stripes", "--recursive", "--views", 3, "--out", out)
        assert run(capsys, *given)[0] == 0
        with np.load(out) as lessons:
            assert lessons["boxes"].shape == (72, 4)
            assert len(lessons["names"]) == len(lessons["vectors"]) == 72


class TestSearch:
    @pytest.fixture
    def search(self, capsys, shapes):
        given = ("index", shapes, "--gallery", "shapes", "--layout", "folders")
        run(capsys, *given, "--backend", "hsv-stripes", "--backend", "sift")
        picture = shapes / "lying" / "003.png"
        return ("search", picture, "--gallery", "shapes", "--top", 5)

    @pytest.mark.parametrize("way", ["sum", "ranks", "fitted"])
    def test_backends_are_fused(self, capsys, search, way):
        status, found, _ = run(capsys, *search, "--backend", "hsv-stripes+sift", "--fuse", way, "--json")
        assert status == 0
        assert found["hits"][0]["name"] == "lying/003.png"
        assert set(found["hits"][0]["parts"]) == {"hsv-stripes", "sift"}

    def test_hits_that_were_judged_move_the_query(self, capsys, search):
        backend = ("--backend", "hsv-stripes", "--json")
        _, plain, _ = run(capsys, *search, *backend)
        second = plain["hits"][1]
        _, moved, _ = run(capsys, *search, *backend, "--wrong", second["name"])
        after = {hit["name"]: hit["similarity"] for hit in moved["hits"]}
        assert after.get(second["name"], -1) < second["similarity"]
        _, learnt, _ = run(capsys, *search, *backend, "--wrong", second["name"], "--learn")
        _, later, _ = run(capsys, *search, *backend, "--learn")  # without a word, what was learnt holds
        assert later["hits"] != plain["hits"]
        assert learnt["hits"] != plain["hits"]

    def test_the_query_is_expanded(self, capsys, search):
        backend = ("--backend", "hsv-stripes", "--json")
        _, plain, _ = run(capsys, *search, *backend)
        _, expanded, _ = run(capsys, *search, *backend, "--expand", 3)
        _, augmented, _ = run(capsys, *search, *backend, "--augment", 3)
        assert plain["hits"] != expanded["hits"] != augmented["hits"]

    def test_ways_that_do_not_go_together_are_refused(self, capsys, search):
        for more in (("--expand", 2, "--wrong", "x"), ("--rerank", "geometry", "--learn")):
            status, _, err = run(capsys, *search, "--backend", "sift", *more)
            assert status == 2
            assert "one at a time" in err
        status, _, err = run(capsys, *search, "--backend", "hsv-stripes", "--right", "nobody.png")
        assert status == 2
        assert "nobody.png" in err


def test_fusion_is_evaluated(capsys, shapes):
    status, found, _ = run(
        capsys, "evaluate", shapes, "--layout", "folders", "--backend", "hsv-stripes+sift", "--fuse", "fitted", "--json"
    )
    assert status == 0
    assert set(found["members"]) == {"hsv-stripes", "sift"}
    assert len(found["weights"]) == 2
    status, _, err = run(
        capsys,
        "evaluate",
        shapes,
        "--layout",
        "folders",
        "--backend",
        "hsv-stripes",
        "--expand",
        2,
        "--rerank",
        "parts",
    )
    assert status == 2
    assert "geometry alone" in err


def test_pushing_offline_is_refused(capsys):
    status, _, err = run(capsys, "push", "resnet", "me/net")
    assert status == 2
    assert "nothing goes out" in err
