"""Several processes on one gallery: readers beside a writer, two writers, and a writer that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from reid.galleries import Library
from reid.galleries.records import NewItem
from tests.reid.galleries.toys import RECIPE, Toy, folder_of, random_embeddings

ROOT = Path(__file__).parents[3]

# Enters batches of five pictures with vectors, each batch in one transaction; a batch shares its camera.
WRITER = """
import sys
from reid.galleries import Library
from reid.galleries.records import NewItem
from tests.reid.galleries.toys import RECIPE, random_embeddings
gallery = Library(sys.argv[1]).open("g")
for batch in range(int(sys.argv[3])):
    with gallery.transaction():
        names = [f"{sys.argv[2]}-{batch}-{n}.jpg" for n in range(5)]
        put = gallery.put_items([NewItem(n, f"/p/{n}", "0" * 64, 1, "", 20, 30, camera=f"c{batch}") for n in names])
        gallery.put_vectors(RECIPE, [one.id for one in put], random_embeddings(5, batch), backend="toy")
    print(batch, flush=True)
"""

# Reads until a file appears; every state it sees must be whole batches, each with all its vectors, and never shrink.
READER = """
import json, os, sys
from reid.galleries import Library
from tests.reid.galleries.toys import RECIPE, random_embeddings
gallery = Library(sys.argv[1]).open("g")
query = random_embeddings(1, 1).global_[0]
reads, before = 0, 0
last = False
while not last:
    last = os.path.exists(sys.argv[2])
    with gallery.snapshot():
        items, vectors = gallery.count(), len(gallery.vector_ids(RECIPE))
        assert items == vectors and items % 5 == 0, (items, vectors)
    found, _ = gallery.store(RECIPE).search(query, 10**6)
    assert len(found) >= items >= before, (len(found), items, before)
    reads, before = reads + 1, items
print(json.dumps({"reads": reads, "items": before}))
"""

# Indexes a folder slowly, and says when a batch is done.
INDEXER = """
import sys, time
from reid.galleries import Library
from reid.search import index
from tests.reid.galleries.toys import Toy, folder_of
from pathlib import Path
class Slow(Toy):
    def embed(self, pictures):
        time.sleep(0.05)
        return super().embed(pictures)
library = Library(sys.argv[1])
index(library.open("g"), folder_of(Path(sys.argv[2]), 60), Slow(), batch_size=4,
      copy=sys.argv[3] == "copy", progress=lambda done, total: print(done, flush=True))
"""


def start(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


def test_two_processes_read_while_two_write(tmp_path):
    gallery = Library(tmp_path).create("g")
    done = tmp_path / "done"
    readers = [start(READER, tmp_path, done) for _ in range(2)]
    writers = [start(WRITER, tmp_path, name, 40) for name in "ab"]
    for writer in writers:
        finish(writer)
    done.touch()
    for reader in readers:
        seen = json.loads(finish(reader))
        assert seen["items"] == 400  # the last read came after the last write
        assert seen["reads"] > 1
    assert gallery.count() == gallery.store(RECIPE).count() == 400


def test_a_writer_waits_for_another_and_reading_goes_on(tmp_path):
    gallery = Library(tmp_path).create("g")
    with gallery.transaction():
        gallery.put_items([NewItem("mine", "/p/mine", "0" * 64, 1, "", 20, 30)])
        writer = start(WRITER, tmp_path, "a", 1)
        time.sleep(1.0)
        assert writer.poll() is None
        assert Library(tmp_path).open("g").count() == 0
    assert finish(writer).split() == ["0"]
    assert gallery.count() == 6


def test_a_killed_writer_leaves_whole_batches(tmp_path):
    gallery = Library(tmp_path).create("g")
    writer = start(WRITER, tmp_path, "a", 100_000)
    assert writer.stdout is not None
    for _ in range(10):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    count = gallery.count()
    assert count >= 50
    assert count % 5 == 0
    assert len(gallery.vector_ids(RECIPE)) == count
    gallery.put_vectors(RECIPE, [1], random_embeddings(1))  # no lock is left behind


def test_a_killed_indexing_run_goes_on_where_it_stopped(tmp_path):
    from reid.search import index

    for way in ("refer", "copy"):
        gallery = Library(tmp_path / way).create("g")
        pictures = tmp_path / way / "pictures"
        samples = folder_of(pictures, 60)
        indexer = start(INDEXER, tmp_path / way, pictures, way)
        assert indexer.stdout is not None
        while int(indexer.stdout.readline()) < 12:
            pass
        indexer.send_signal(signal.SIGKILL)
        indexer.communicate()
        done = gallery.count()
        assert 12 <= done < 60
        assert len(gallery.vector_ids(Toy().recipe_hash())) == done
        backend = Toy()
        report = index(gallery, samples, backend, copy=way == "copy")
        assert (report.unchanged, report.added, report.embedded) == (done, 60 - done, 60 - done)
        assert backend.embedded == 60 - done
        whole = Library(tmp_path / way).create("whole")
        index(whole, samples, Toy(), copy=way == "copy")
        for one, other in zip(gallery.items(), whole.items(), strict=True):
            assert (one.name, one.sha256, one.identity) == (other.name, other.sha256, other.identity)
            assert one.path.exists()
