"""Footage: frames by number and time, one frame again by its number, and breaks that are named."""

import cv2
import numpy as np
import pytest

from reid.errors import ImageError
from reid.video import is_video_name, load_frame, read_frames, video_info


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """30 frames, 10 a second; a red square marches right, 2 pixels a frame."""
    path = tmp_path_factory.mktemp("video") / "march.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for i in range(30):
        frame = np.full((64, 96, 3), 90, np.uint8)
        frame[20:40, 2 * i : 2 * i + 20] = (0, 0, 255)
        writer.write(frame)
    writer.release()
    return path


def where(picture: np.ndarray) -> float:
    """The middle of what is red."""
    return float(np.nonzero((picture[..., 0] > 180) & (picture[..., 1] < 90))[1].mean())


def test_frames_have_numbers_and_times(footage):
    frames = list(read_frames(footage, every=4))
    assert [frame.number for frame in frames] == list(range(0, 30, 4))
    assert [frame.time for frame in frames] == pytest.approx([0.4 * i for i in range(8)])
    assert frames[0].picture.shape == (64, 96, 3)
    assert where(frames[5].picture) == pytest.approx(2 * 20 + 9.5, abs=1)
    info = video_info(footage)
    assert (info.frames, info.rate, info.width, info.height) == (30, 10, 96, 64)


@pytest.mark.parametrize("number", [0, 7, 29])
def test_a_frame_is_found_again(footage, number):
    assert where(load_frame(footage, number)) == pytest.approx(2 * number + 9.5, abs=1)


def test_there_is_no_frame_beyond_the_end(footage):
    with pytest.raises(ImageError, match="no frame 400"):
        load_frame(footage, 400)


def test_a_break_is_named_and_the_frames_before_are_kept(footage, tmp_path):
    data = footage.read_bytes()
    broken = tmp_path / "broken.avi"
    broken.write_bytes(data[: len(data) * 6 // 10])
    said = []
    frames = list(read_frames(broken, on_break=said.append))
    assert 10 < len(frames) < 25
    assert len(said) == 1
    assert f"frame {len(frames)} of 30" in said[0]
    whole = []
    assert len(list(read_frames(footage, on_break=whole.append))) == 30
    assert whole == []


@pytest.mark.parametrize("data", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_refused(tmp_path, data):
    (tmp_path / "x.mp4").write_bytes(data)
    with pytest.raises(ImageError, match=r"x\.mp4"):
        list(read_frames(tmp_path / "x.mp4"))
    with pytest.raises(ImageError, match="does not exist"):
        list(read_frames(tmp_path / "y.mp4"))
    with pytest.raises(ImageError, match="no video"):
        list(read_frames(tmp_path))


def test_names():
    assert is_video_name("a/B.MP4")
    assert not is_video_name("a/b.jpg")
