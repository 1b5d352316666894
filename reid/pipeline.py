"""Decoding that runs ahead of embedding: pictures come in batches, in order, and memory stays bounded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, Protocol, TypeVar

import numpy as np

from reid.errors import ImageError
from reid.images import load_image

# Decoded bytes that may wait for the consumer, and that one batch may hold: about 21 photos of 12 megapixels, or 30,000
# crops of 64x128. The largest picture taken (40 megapixels) passes alone.
MAX_AHEAD_BYTES = 256_000_000
MAX_BATCH_BYTES = 768_000_000


# So many small pictures change hands at a time.
MAX_HAND = 8
MAX_HAND_BYTES = 2_000_000


class HasPath(Protocol):
    """What can be decoded: anything with a `path` (a file) and a `name` (what errors call it)."""

    @property
    def path(self) -> str | os.PathLike[str]: ...
    @property
    def name(self) -> str: ...


S = TypeVar("S", bound=HasPath)


@dataclass
class Batch(Generic[S]):
    """Samples and their pictures, one to one: `pictures[i]` is `samples[i]` as (H, W, 3) uint8 RGB."""

    samples: list[S] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.samples)


def default_threads() -> int:
    """One decoding thread for each core this process may use, at most 8: decoding releases Python's lock."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


def decode_batches(
    samples: Iterable[S],
    batch_size: int = 64,
    threads: int | None = None,
    *,
    on_error: Callable[[S, ImageError], None] | None = None,
    load: Callable[[S], np.ndarray] | None = None,
) -> Iterator[Batch[S]]:
    """Decode pictures in threads while the caller works on the batch before.

    Order is kept. A batch holds `batch_size` readable pictures: fewer only at the end, or when larger pictures would
    exceed `MAX_BATCH_BYTES`. Ahead of the caller lie at most two batches and about `MAX_AHEAD_BYTES`. Leaving the loop
    early stops the threads.

    Args:
        samples: what to decode; read lazily, from the decoding threads, one at a time.
        batch_size: pictures a batch, at least 1.
        threads: decoding threads; by default `default_threads()`.
        on_error: called with each sample that cannot be read and the reason, in order, from the caller's thread.
            Without it the first such error is raised.
        load: reads one sample; by default `load_image(sample.path, name=sample.name)`.

    Yields:
        Batches of at least one picture.

    Raises:
        ImageError: a picture cannot be read and there is no `on_error`.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    threads = max(default_threads() if threads is None else threads, 1)
    ahead = _Ahead(samples, load or _load_sample, 2 * batch_size, threads)
    try:
        batch: Batch[S] = Batch()
        held = 0
        for sample, result in ahead:
            if isinstance(result, ImageError):
                if on_error is None:
                    raise result
                on_error(sample, result)
                continue
            if batch and held + result.nbytes > MAX_BATCH_BYTES:
                yield batch
                batch, held = Batch(), 0
            batch.samples.append(sample)
            batch.pictures.append(result)
            held += result.nbytes
            if len(batch) == batch_size:
                yield batch
                batch, held = Batch(), 0
        if batch:
            yield batch
    finally:
        ahead.stop()


def _load_sample(sample: HasPath) -> np.ndarray:
    return load_image(sample.path, name=sample.name)


class _Ahead(Generic[S]):
    """Threads that decode ahead of an iteration, within a window of pictures and of bytes.

    Each thread takes the next few samples, waits with each until it lies within the window, decodes it and puts it down
    under its number; the iteration picks numbers up in order. The very next number is always let through, so that
    nothing waits for ever. Small pictures change hands several at a time: each exchange costs as much as decoding one.
    """

    def __init__(self, samples: Iterable[S], load: Callable[[S], np.ndarray], window: int, threads: int) -> None:
        self._source = enumerate(samples)
        self._load = load
        self._window = window
        self._max_bytes = MAX_AHEAD_BYTES
        self._hand = max(min(window // (2 * threads), MAX_HAND), 1)
        self._source_lock = threading.Lock()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)  # threads wait here for the window to move on
        self._ready = threading.Condition(self._lock)  # the iteration waits here for its next number
        self._done: dict[int, tuple[S, np.ndarray | ImageError]] = {}
        self._bytes = 0
        self._next = 0
        self._taken = 0
        self._end: int | None = None
        self._failure: BaseException | None = None
        self._stopped = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[tuple[S, np.ndarray | ImageError]]:
        while hand := self._pick_up():
            hand.reverse()
            while hand:  # popped, so that the caller's batch alone keeps a picture alive
                yield hand.pop()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._done.clear()
            self._room.notify_all()
        for thread in self._threads:
            thread.join()

    def _pick_up(self) -> list[tuple[S, np.ndarray | ImageError]]:
        """The next results, at least one; none at the end."""
        hand: list[tuple[S, np.ndarray | ImageError]] = []
        size = 0
        with self._lock:
            while self._next not in self._done:
                if self._failure is not None:
                    raise self._failure
                if self._end is not None and self._next >= self._end:
                    return []
                self._room.notify_all()
                self._ready.wait()
            while self._next in self._done and len(hand) < self._hand and size <= MAX_HAND_BYTES:
                hand.append(self._done.pop(self._next))
                size += _size(hand[-1][1])
                self._next += 1
            self._bytes -= size
            self._room.notify_all()
        return hand

    def _work(self) -> None:
        done: dict[int, tuple[S, np.ndarray | ImageError]] = {}
        size = 0
        try:
            while taken := self._take():
                for number, sample in taken:
                    if done and (size > MAX_HAND_BYTES or not self._is_near(number)):
                        self._put(done, size)
                        done, size = {}, 0
                    if not self._admitted(number):
                        return
                    try:
                        result: np.ndarray | ImageError = self._load(sample)
                    except ImageError as error:
                        result = error
                    done[number] = (sample, result)
                    size += _size(result)
                self._put(done, size)
                done, size = {}, 0
        except BaseException as failure:  # a fault of the source or of `load`: raised in the caller's thread
            with self._lock:
                self._failure = self._failure or failure
                self._ready.notify()

    def _take(self) -> list[tuple[int, S]]:
        with self._source_lock:
            if self._stopped or self._end is not None:
                return []
            taken = list(islice(self._source, self._hand))
            self._taken += len(taken)
            if len(taken) < self._hand:
                with self._lock:
                    self._end = self._taken
                    self._ready.notify()
            return taken

    def _is_near(self, number: int) -> bool:
        return number < self._next + self._window and self._bytes < self._max_bytes

    def _admitted(self, number: int) -> bool:
        """Wait until the number lies within the window; False when the iteration was left."""
        if self._is_near(number):
            return not self._stopped
        with self._lock:
            while not (self._stopped or number == self._next or self._is_near(number)):
                self._room.wait()
            return not self._stopped

    def _put(self, done: dict[int, tuple[S, np.ndarray | ImageError]], size: int) -> None:
        with self._lock:
            if not self._stopped:
                self._done.update(done)
                self._bytes += size
                if self._next in done:
                    self._ready.notify()


def _size(result: np.ndarray | ImageError) -> int:
    return result.nbytes if isinstance(result, np.ndarray) else 0
