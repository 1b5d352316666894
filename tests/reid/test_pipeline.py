"""Decoding ahead keeps order, loses no error and holds no more than it may."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid import pipeline
from reid.datasets import Sample
from reid.errors import ImageError
from reid.images import save_image
from reid.pipeline import decode_batches


def samples(count: int) -> list[Sample]:
    return [Sample(Path(f"{i}.png"), f"{i}.png") for i in range(count)]


def painted(sample: Sample) -> np.ndarray:
    """A picture that shows its sample's number."""
    return np.full((2, 2, 3), int(sample.path.stem), np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 4), st.sets(st.integers(0, 59)))
def test_order_is_kept_and_every_sample_comes_once(count, batch_size, threads, broken):
    def load(sample: Sample) -> np.ndarray:
        if int(sample.path.stem) in broken:
            raise ImageError(f"{sample.name} is broken")
        return painted(sample)

    failed: list[int] = []
    seen: list[int] = []
    sizes: list[int] = []
    for batch in decode_batches(
        iter(samples(count)), batch_size, threads, load=load, on_error=lambda s, e: failed.append(int(s.path.stem))
    ):
        assert [int(s.path.stem) for s in batch.samples] == [int(p[0, 0, 0]) for p in batch.pictures]
        seen += [int(s.path.stem) for s in batch.samples]
        sizes.append(len(batch))
    assert seen == [i for i in range(count) if i not in broken]
    assert failed == [i for i in range(count) if i in broken]
    assert all(size == batch_size for size in sizes[:-1])


def test_files_are_read_and_errors_name_them(tmp_path: Path):
    save_image(tmp_path / "good.png", np.full((20, 20, 3), 7, np.uint8))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = [Sample(tmp_path / name, name) for name in ("bad.png", "good.png")]
    errors: list[str] = []
    batches = list(decode_batches(found, on_error=lambda sample, error: errors.append(str(error))))
    assert [s.name for s in batches[0].samples] == ["good.png"]
    assert errors
    assert errors[0].startswith("bad.png is no picture")
    with pytest.raises(ImageError, match=r"bad\.png"):
        list(decode_batches(found))


def test_no_more_than_two_batches_lie_ahead():
    started = []

    def load(sample: Sample) -> np.ndarray:
        started.append(sample)
        return painted(sample)

    batches = decode_batches(samples(100), 5, 3, load=load)
    taken = 0
    for _ in range(4):
        taken += len(next(batches))
        time.sleep(0.05)
        assert len(started) <= taken + 2 * 5 + 3
        assert len(started) >= taken + 5  # and the next batch is being read meanwhile
    batches.close()


def test_large_pictures_are_held_back_and_split(monkeypatch):
    big = np.zeros((100, 100, 3), np.uint8)
    monkeypatch.setattr(pipeline, "MAX_AHEAD_BYTES", 3 * big.nbytes)
    monkeypatch.setattr(pipeline, "MAX_BATCH_BYTES", 4 * big.nbytes)
    monkeypatch.setattr(pipeline, "MAX_HAND_BYTES", 0)
    started = []

    def load(sample: Sample) -> np.ndarray:
        started.append(sample)
        return big.copy()

    taken, sizes = 0, []
    for batch in decode_batches(samples(22), 16, 2, load=load):
        taken += len(batch)
        sizes.append(len(batch))
        time.sleep(0.02)
        assert len(started) <= taken + 1 + 3 + 2  # one begins the next batch, three wait, each thread holds one more
    assert sizes == [4, 4, 4, 4, 4, 2]


def test_leaving_early_stops_the_threads():
    before = threading.active_count()
    for _ in decode_batches(samples(1000), 4, 4, load=painted):
        break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_fault_of_the_reader_or_the_source_comes_through():
    def load(sample: Sample) -> np.ndarray:
        if sample.name == "30.png":
            raise ZeroDivisionError("a bug")
        return painted(sample)

    with pytest.raises(ZeroDivisionError):
        list(decode_batches(samples(50), 4, 2, load=load))

    def source():
        yield from samples(3)
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        list(decode_batches(source(), 4, 2, load=painted))
    with pytest.raises(ValueError, match="at least 1"):
        next(decode_batches(samples(1), 0))
