"""`detect` and `index --detect`: boxes as JSON, sentences where nobody is seen, galleries out of footage."""

import json

import cv2
import numpy as np
import pytest

from reid import backends
from reid.backends import Backend, Boxes
from reid.backends.registry import Card
from reid.cli import main


class Toy(Backend):
    card = Card(name="rfcn", family="region network", subject="any", does=("find",), summary="Finds what is blue.")

    def load(self):
        pass

    def find(self, frame, progress=None):
        if progress:
            progress(1, 1)
        blue = ((frame[..., 2].astype(int) - frame[..., 0]) > 80).astype(np.uint8)
        found = cv2.connectedComponentsWithStats(blue)[2][1:].tolist()
        xyxy = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in found], np.float32).reshape(-1, 4)
        scores = np.linspace(0.9, 0.1, len(found), dtype=np.float32)
        return Boxes(xyxy, ("person", "car", *["person"] * len(found))[: len(found)], scores)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """The finder under its name, whether or not trained weights ship."""
    monkeypatch.setenv("PARTWISE_DATA", str(tmp_path / "data"))
    classes = {**backends.registry._classes(), "rfcn": Toy}
    monkeypatch.setattr(backends.registry, "_classes", lambda: classes)
    monkeypatch.setitem(backends.registry._instances, "rfcn", Toy())


@pytest.fixture
def street(tmp_path):
    def make(name, boxes):
        picture = np.full((200, 300, 3), 120, np.uint8)
        for x0, y0, x1, y1 in boxes:
            picture[y0:y1, x0:x1] = (30, 30, 200)
        if name.endswith(".avi"):
            writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter_fourcc(*"MJPG"), 10, (300, 200))
            for _ in range(20):
                writer.write(picture[..., ::-1])
            writer.release()
        else:
            cv2.imwrite(str(tmp_path / name), picture[..., ::-1])
        return str(tmp_path / name)

    return make


def test_boxes_are_told_in_the_pictures_pixels(toy, street, capsys):
    path = street("a.png", [(20, 30, 60, 150), (100, 100, 180, 140), (200, 10, 220, 60)])
    assert main(["detect", path, "--backend", "rfcn", "--json"]) == 0
    ((row),) = json.loads(capsys.readouterr().out)
    assert row["image"] == path
    found = {(box["label"], tuple(box["xyxy"])) for box in row["boxes"]}
    assert found == {("person", (200, 10, 220, 60)), ("car", (20, 30, 60, 150))}, "the third scores below 0.2"
    assert main(["detect", path, "--least", "0", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["boxes"]) == 3


def test_nobody_is_said(toy, street, capsys):
    assert main(["detect", street("a.png", []), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["boxes"] == []
    assert "nobody" in captured.err


def test_the_best_are_kept_of_too_many(toy, street, capsys):
    path = street("a.png", [(10, 10, 40, 40), (100, 10, 140, 40)])
    assert main(["detect", path, "--most", "1", "--least", "0", "--json"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)[0]["boxes"]) == 1
    assert "best 1" in captured.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.png"], "nowhere.png"),
        (["a.png", "--backend", "hsv-stripes"], "does not find"),
        (["a.png", "--backend", "nothing"], "no backend"),
        (["a.png", "--least", "2"], "0 to 1"),
    ],
)
def test_bad_input_is_one_line(toy, capsys, arguments, says):
    try:
        code = main(["detect", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert says in capsys.readouterr().err


def test_a_gallery_of_footage(toy, street, capsys, tmp_path):
    path = street("v.avi", [(100, 50, 140, 150)])
    arguments = ["--gallery", "g", "--backend", "hsv-stripes", "--json"]
    assert main(["index", path, "--detect", "--every", "5", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["added"], report["regions"]) == (4, 4, 4)
    query = street("q.png", [(0, 0, 300, 200)])
    assert main(["search", query, *arguments]) == 0
    hit = json.loads(capsys.readouterr().out)["hits"][0]
    assert hit["frame"] in (0, 5, 10, 15)
    assert hit["box"] == pytest.approx([100, 50, 140, 150], abs=3)
    assert hit["camera"] == "v"


def test_a_folder_of_frames_and_footage(toy, street, capsys, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("in/a.png", "in/v.avi"):
        street(name, [(100, 50, 140, 150)])
    arguments = ["--gallery", "g", "--backend", "hsv-stripes", "--json"]
    assert main(["index", str(tmp_path / "in"), "--detect", *arguments]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["added"] == 1 + 4, "two looks a second at two seconds"
    assert "left out" not in captured.err
    assert main(["index", str(tmp_path / "none"), "--detect", *arguments]) == 2


def test_other_things_than_people_are_kept_if_asked_for(toy, street, capsys):
    path = street("a.png", [(20, 30, 60, 150), (100, 100, 180, 140), (200, 10, 220, 60)])
    asked = ["index", path, "--detect", "--gallery", "g", "--backend", "hsv-stripes", "--json"]
    assert main([*asked, "--find", "car"]) == 0
    assert json.loads(capsys.readouterr().out)["regions"] == 1
    assert main(["search", path, "--gallery", "g", "--backend", "hsv-stripes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["box"] == [20, 30, 60, 150]
    with pytest.raises(SystemExit) as stopped:
        main([*asked, "--find", "car,house"])
    assert stopped.value.code == 2
    assert "'house' is none of person, car, bicycle" in capsys.readouterr().err
