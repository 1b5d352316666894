"""The command line as a contract: JSON on standard output, one line and exit 2 for bad input."""

import csv
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from reid.cli import main, parser
from reid.reports import LAYOUTS


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTWISE_DATA", str(tmp_path / "data"))


@pytest.fixture
def pictures(tmp_path):
    """Six identities by two cameras, named as Market-1501 names them, in colours of their own."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for identity in range(1, 7):
        upper, lower = rng.integers(0, 256, (2, 3))
        for camera in (1, 2):
            picture = np.zeros((128, 64, 3), np.uint8)
            picture[:64], picture[64:] = upper, lower
            picture = np.clip(picture + rng.integers(-15, 15, picture.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{identity:04d}_c{camera}s1_000001_00.jpg"), picture)
    return folder


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, (json.loads(out) if "--json" in arguments and status == 0 else out), err


def test_backends_are_listed_as_agreed(capsys):
    status, rows, _ = run(capsys, "backends", "--json")
    assert status == 0
    keys = {"name", "family", "subject", "does", "dim", "parts", "weights", "licence", "ready", "why_not"}
    assert all(set(row) == keys for row in rows)
    names = {row["name"] for row in rows}
    assert {"sift", "surf", "orb", "vgg-descriptor", "hsv-stripes", "lite0"} <= names
    assert all(row["ready"] for row in rows if row["name"] == "hsv-stripes")


def test_index_search_and_forget(capsys, pictures):
    status, made, _ = run(capsys, "index", pictures, "--gallery", "street", "--backend", "hsv-stripes", "--json")
    assert status == 0
    assert made["pictures"] == 12
    assert made["backends"]["hsv-stripes"]["added"] == 12
    _, again, _ = run(capsys, "index", pictures, "--gallery", "street", "--backend", "hsv-stripes", "--json")
    assert again["backends"]["hsv-stripes"]["embedded"] == 0

    _, listed, _ = run(capsys, "galleries", "--json")
    assert [(row["name"], row["items"]) for row in listed] == [("street", 12)]

    query = pictures / "0003_c1s1_000001_00.jpg"
    options = ("search", query, "--gallery", "street", "--backend", "hsv-stripes", "--json")
    status, found, _ = run(capsys, *options, "--top", "5", "--camera", "c2")
    assert status == 0
    assert found["ms"] > 0
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3, 4, 5]
    assert {hit["camera"] for hit in found["hits"]} == {"c2"}
    best = found["hits"][0]
    assert (best["identity"], best["name"]) == ("0003", "0003_c2s1_000001_00.jpg")
    assert best["margin"] > 0

    _, elsewhere, said = run(capsys, *options, "--exclude-camera", "c1")
    assert {hit["camera"] for hit in elsewhere["hits"]} == {"c2"}
    assert not said
    _, everywhere, said = run(capsys, *options, "--exclude-camera", "1")
    assert {hit["camera"] for hit in everywhere["hits"]} == {"c1", "c2"}
    assert "no camera '1', so nothing is left out; there are c1, c2." in said

    status, removed, _ = run(capsys, "gallery", "remove", "street", "--json")
    assert (status, removed) == (0, {"action": "remove", "name": "street"})
    assert run(capsys, "galleries", "--json")[1] == []


def test_words_of_a_csv_are_searched(capsys, pictures, tmp_path):
    words = tmp_path / "words.csv"
    with open(words, "w", newline="") as file:
        csv.writer(file).writerows([("name", "words"), ("0002_c1s1_000001_00.jpg", "red upper backpack")])
    run(capsys, "index", pictures, "--gallery", "g", "--backend", "hsv-stripes", "--words", words)
    query = pictures / "0001_c1s1_000001_00.jpg"
    options = ("search", query, "--gallery", "g", "--backend", "hsv-stripes", "--json", "--words", "red upper")
    _, found, _ = run(capsys, *options)
    assert [hit["identity"] for hit in found["hits"]] == ["0002"]


def test_export_and_import(capsys, pictures, tmp_path):
    run(capsys, "index", pictures, "--gallery", "a", "--backend", "hsv-stripes")
    assert run(capsys, "gallery", "export", "a", tmp_path / "a.zip")[0] == 0
    assert run(capsys, "gallery", "import", "b", tmp_path / "a.zip")[0] == 0
    assert run(capsys, "gallery", "rename", "b", "c")[0] == 0
    _, listed, _ = run(capsys, "galleries", "--json")
    assert {row["name"]: row["items"] for row in listed} == {"a": 12, "c": 12}


def test_embed_writes_names_and_vectors_and_names_what_is_no_picture(capsys, pictures, tmp_path):
    (pictures / "Thumbs.db").write_bytes(b"\0" * 100)
    (pictures / "torn.jpg").write_bytes((pictures / "0001_c1s1_000001_00.jpg").read_bytes()[:400])
    out = tmp_path / "vectors"  # as it is called, without a suffix of NumPy's
    status, _, err = run(capsys, "embed", pictures, "--backend", "hsv-stripes", "--out", out)
    assert status == 0
    assert "torn.jpg" in err
    data = np.load(out)
    assert data["names"].shape == (12,)
    assert data["names"].dtype.kind == "U"
    np.testing.assert_allclose(np.linalg.norm(data["vectors"], axis=1), 1, atol=1e-5)


def test_a_picture_without_a_person_is_warned_of(capsys, pictures, monkeypatch):
    run(capsys, "index", pictures, "--gallery", "street", "--backend", "hsv-stripes")
    options = ("search", pictures / "0003_c1s1_000001_00.jpg", "--gallery", "street", "--backend", "hsv-stripes")
    assert "nobody" not in run(capsys, *options)[2]
    monkeypatch.setattr("reid.backends.colour.HsvStripes.note", lambda *_: "nobody is here")
    status, found, err = run(capsys, *options, "--json")
    assert status == 0
    assert found["hits"]
    assert "0003_c1s1_000001_00.jpg: nobody is here" in err


def test_a_person_is_composed_of_two_others(capsys, pictures):
    one, other = (pictures / f"000{n}_c1s1_000001_00.jpg" for n in (1, 4))
    both = np.concatenate([cv2.imread(str(one))[:64], cv2.imread(str(other))[64:]])
    cv2.imwrite(str(pictures / "0099_c2s1_000001_00.jpg"), both)
    run(capsys, "index", pictures, "--gallery", "g", "--backend", "hsv-stripes")
    likes = ("--like", f"head,shoulders={one}", "--like", f"knees,feet={other}")
    options = ("--gallery", "g", "--backend", "hsv-stripes", "--json")
    status, found, _ = run(capsys, "compose", *likes, *options)
    assert status == 0
    assert found["hits"][0]["identity"] == "0099"
    assert set(found["hits"][0]["parts"]) == {"head", "shoulders", "waist", "hips", "knees", "feet"}
    status, _, err = run(capsys, "compose", "--like", f"elbow={one}", *options)
    assert status == 2
    assert "no part 'elbow'" in err


def test_embed_without_a_single_picture_fails(capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    status, _, err = run(capsys, "embed", tmp_path / "empty", "--backend", "hsv-stripes", "--out", tmp_path / "v.npz")
    assert status == 2
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "v.npz").exists()


def test_evaluate_prints_the_agreed_figures(capsys, pictures, tmp_path):
    root = tmp_path / "market"
    for split, camera in (("query", 1), ("bounding_box_test", 2)):
        (root / split).mkdir(parents=True)
        for path in pictures.glob(f"*_c{camera}*.jpg"):
            (root / split / path.name).symlink_to(path)
    options = ("evaluate", root, "--layout", "market1501", "--backend", "hsv-stripes", "--json")
    status, figures, _ = run(capsys, *options)
    assert status == 0
    assert set(figures) == {"rank1", "rank5", "rank10", "mAP", "mINP", "queries", "gallery", "ms_per_image"}
    assert (figures["queries"], figures["gallery"]) == (6, 6)
    assert figures["rank1"] == 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("search", "no.jpg", "--gallery", "g", "--backend", "hsv-stripes"), "no.jpg"),
        (("index", "nowhere", "--gallery", "g"), "nowhere"),
        (("gallery", "remove", "nothing"), "nothing"),
        (("evaluate", "nowhere", "--layout", "market1501", "--backend", "hsv-stripes"), "nowhere"),
        (("evaluate", ".", "--layout", "market1501", "--backend", "alexnot"), "alexnot"),
        (("compose", "--like", "head=no.jpg", "--gallery", "g", "--backend", "hsv-stripes"), "no.jpg"),
        (("render", "--out", "x"), "streets"),
        (("render", "--out", "x", "--streets", "3", "--views", "2"), "streets"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(capsys, arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert says in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "a.jpg"),
        ("search", "a.jpg", "--gallery", "g", "--backend", "b", "--top", "0"),
        ("search", "a.jpg", "--gallery", "g", "--backend", "b", "--top", "ten"),
        ("search", "a.jpg", "--gallery", "g", "--backend", "b", "--part", "torso"),
        ("search", "a.jpg", "--gallery", "g", "--backend", "b", "--part", "torso=-1"),
        ("compose", "--like", "a.jpg", "--gallery", "g", "--backend", "b"),
        ("compose", "--gallery", "g", "--backend", "b"),
        ("evaluate", ".", "--layout", "market", "--backend", "b"),
        ("dance",),
        (),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--help"], ["backends"], ["backends", "--json"], ["backends", "--markdown"]])
def test_help_and_listing_load_no_network(arguments):
    code = (
        "import sys, reid.cli\n"
        "try: reid.cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'torchvision', 'gradio', 'faiss', 'mahotas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ("COMMAND" if arguments == ["--help"] else "sift") in done.stdout


def test_a_reader_that_leaves_early_is_no_error():
    command = f"'{sys.executable}' -m reid backends --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_train_runs_a_recipe_in_the_run_it_is_told(capsys, pictures, tmp_path):
    options = ("--data", f"market1501={pictures}", "--size", "32x16", "--epochs", "1", "--run", tmp_path / "run")
    status, out, _ = run(capsys, "train", "trunk", *options)
    assert status == 0
    assert out.strip() == str(tmp_path / "run" / "weights.safetensors")
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_a_codebook_learnt_on_a_gallery_is_used_there(capsys, pictures):
    run(capsys, "index", pictures, "--gallery", "g", "--backend", "orb")
    assert run(capsys, "codebook", "--gallery", "g", "--backend", "orb")[0] == 0
    query = pictures / "0003_c1s1_000001_00.jpg"
    status, _, err = run(capsys, "search", query, "--gallery", "g", "--backend", "orb")
    assert status == 2, "vectors of the old codebook must not answer"
    assert "orb" in err
    _, again, _ = run(capsys, "index", pictures, "--gallery", "g", "--backend", "orb", "--json")
    assert again["backends"]["orb"]["embedded"] == 12
    status, found, _ = run(capsys, "search", query, "--gallery", "g", "--backend", "orb", "--json")
    assert status == 0
    assert found["hits"][0]["name"] == query.name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_evaluation_there_is_can_be_asked_for(layout):
    options = parser().parse_args(["evaluate", "ROOT", "--layout", layout, "--backend", "B"])
    assert options.layout == layout
