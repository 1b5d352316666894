"""Indexing: every picture once, changed ones anew, unreadable ones named, broken-off runs resumed."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid.errors import GalleryError
from reid.galleries import Library, files
from reid.search import index
from tests.reid.galleries.toys import Sample, Toy, draw, folder_of


@pytest.fixture
def gallery(tmp_path):
    return Library(tmp_path / "data").create("g")


@pytest.fixture
def samples(tmp_path):
    return folder_of(tmp_path / "pictures", 10)


def test_pictures_come_with_labels_size_hash_and_vectors(gallery, samples):
    report = index(gallery, samples, Toy(), batch_size=3)
    assert (report.added, report.changed, report.embedded, report.unchanged, report.failed) == (10, 0, 10, 0, 0)
    items = gallery.items()
    assert [item.name for item in items] == [sample.name for sample in samples]
    for item, sample in zip(items, samples, strict=True):
        assert (item.identity, item.camera, item.width, item.height) == (sample.identity, sample.camera, 24, 48)
        assert item.sha256 == files.sha256(sample.path.read_bytes())
        assert item.path == sample.path
    backend = Toy()
    ids, embeddings = gallery.vectors(backend.recipe_hash())
    expected = backend.embed([gallery.picture(i) for i in ids.tolist()])
    assert np.array_equal(embeddings.global_, expected.global_)
    assert np.array_equal(embeddings.parts, expected.parts)
    assert gallery.recipes() == {backend.recipe_hash(): "toy"}


@pytest.mark.parametrize("copy", [False, True])
def test_a_second_run_adds_and_embeds_nothing(gallery, samples, copy):
    index(gallery, samples, Toy(), copy=copy)
    before, state = gallery.items(), gallery.vector_state(Toy().recipe_hash())
    backend = Toy()
    report = index(gallery, samples, backend, copy=copy)
    assert (report.added, report.embedded, report.unchanged) == (0, 0, 10)
    assert backend.embedded == 0
    assert gallery.items() == before
    assert gallery.vector_state(backend.recipe_hash()) == state


def test_one_folder_is_one_folder_however_it_is_written(gallery, samples, tmp_path, monkeypatch):
    index(gallery, samples, Toy())
    (tmp_path / "link").symlink_to(tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    for way in ("pictures", "link", "./link/../pictures"):
        report = index(gallery, [replace(s, path=Path(way) / s.path.name) for s in samples], Toy())
        assert (report.added, report.unchanged) == (0, 10)
    (tmp_path / "links").mkdir()
    for sample in samples[:3]:
        (tmp_path / "links" / sample.name).symlink_to(sample.path)
    report = index(gallery, [replace(s, path=tmp_path / "links" / s.name) for s in samples[:3]], Toy())
    assert report.added == 3  # a link is a file of its own


def test_a_changed_file_is_embedded_anew_and_loses_what_was_seen_in_the_old_one(gallery, samples):
    index(gallery, samples, Toy())
    recipe = Toy().recipe_hash()
    gallery.set_words(2, "mine")
    gallery.set_words(2, "red", "parse")
    before = gallery.vectors(recipe)[1].global_
    draw(samples[1].path, 500)
    backend = Toy()
    report = index(gallery, samples, backend)
    assert (report.added, report.changed, report.embedded, report.unchanged) == (0, 1, 1, 9)
    after = gallery.vectors(recipe)[1].global_
    assert [n for n in range(10) if not np.array_equal(before[n], after[n])] == [1]
    assert gallery.item(2).sha256 == files.sha256(samples[1].path.read_bytes())
    assert gallery.words(2) == {"user": "mine"}
    assert gallery.count() == 10


def test_a_change_that_keeps_size_and_time_is_seen(gallery, tmp_path):
    sample = Sample(draw(tmp_path / "a.bmp", 1), "a.bmp")
    index(gallery, [sample], Toy())
    before = sample.path.stat()
    draw(sample.path, 2)
    os.utime(sample.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = sample.path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert index(gallery, [sample], Toy()).changed == 1


def test_a_file_that_was_only_touched_is_not_embedded_again(gallery, samples):
    index(gallery, samples, Toy())
    os.utime(samples[0].path, (1, 1))
    shutil.copy(samples[1].path, samples[1].path.with_suffix(".tmp"))
    samples[1].path.with_suffix(".tmp").replace(samples[1].path)
    backend = Toy()
    report = index(gallery, samples, backend)
    assert (report.unchanged, backend.embedded) == (10, 0)
    assert gallery.known(copied=False)[str(samples[0].path)].stamp == files.stamp(samples[0].path)


def test_a_copy_of_other_bytes_under_a_known_name_is_another_item(gallery, samples, tmp_path):
    index(gallery, samples[:2], Toy(), copy=True)
    draw(samples[0].path, 502)
    report = index(gallery, samples[:2], Toy(), copy=True)
    assert (report.added, report.unchanged) == (1, 1)
    assert [item.name for item in gallery.items()] == ["000.png", "001.png", "000.png"]
    shutil.rmtree(tmp_path / "pictures")
    assert [gallery.picture(item).shape for item in gallery.items()] == [(48, 24, 3)] * 3


def test_unreadable_pictures_are_told_and_left_out(gallery, samples, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "text.png").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(samples[0].path.read_bytes()[:60])
    draw(folder / "gone.png", 1).unlink()
    (folder / "folder.png").mkdir()
    bad = [Sample(folder / name, name) for name in ("text.png", "empty.png", "cut.png", "gone.png", "folder.png")]
    told: list[tuple[Path, str]] = []
    steps: list[tuple[int, int]] = []
    report = index(
        gallery,
        [*bad[:2], *samples, *bad[2:]],
        Toy(),
        batch_size=4,
        on_error=lambda path, why: told.append((path, why)),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert (report.added, report.failed) == (10, 5)
    assert report.failures == told
    assert {path.name for path, _ in told} == {sample.name for sample in bad}
    assert all(str(path) in why for path, why in told)
    assert gallery.count() == 10
    assert steps[0] == (0, 15)
    assert steps[-1] == (15, 15)
    assert steps == sorted(steps)


def test_a_file_that_became_unreadable_keeps_its_item(gallery, samples):
    index(gallery, samples, Toy())
    samples[0].path.write_bytes(b"broken")
    report = index(gallery, samples, Toy())
    assert (report.failed, report.unchanged) == (1, 9)
    assert gallery.count() == 10
    assert len(gallery.vector_ids(Toy().recipe_hash())) == 10


def test_a_name_that_is_no_text_is_told(gallery, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    try:
        shutil.copy(draw(tmp_path / "a.png", 1), path)
    except OSError:
        pytest.skip("the file system takes text names only")
    report = index(gallery, [Sample(path, path.name)], Toy())
    assert "not valid UTF-8" in report.failures[0][1]
    assert gallery.count() == 0


def test_words_come_by_name_and_stay_searchable(gallery, samples):
    samples[3] = replace(samples[3], words="blue")
    index(gallery, samples, Toy(), words={"001.png": "red upper", "003.png": "lower"})
    assert gallery.search_words("red") == [2]
    assert gallery.search_words("blue lower") == [4]
    index(gallery, samples, Toy(), words={"001.png": "green upper"})
    assert gallery.search_words("red") == []
    assert gallery.search_words("green upper") == [2]
    index(gallery, samples, Toy())
    assert gallery.search_words("green upper") == [2]


def test_labels_that_were_learnt_later_are_entered(gallery, samples):
    index(gallery, [Sample(s.path, s.name) for s in samples], Toy())
    assert gallery.identities() == []
    report = index(gallery, samples, Toy())
    assert report.unchanged == 10
    assert gallery.identities() == ["p0", "p1", "p2", "p3"]
    index(gallery, [Sample(s.path, s.name) for s in samples], Toy())
    assert gallery.cameras() == ["c0", "c1", "c2"]


def test_a_second_backend_embeds_without_adding(gallery, samples):
    index(gallery, samples, Toy())
    other = Toy()
    other.card = replace(Toy.card, name="other")
    report = index(gallery, samples, other)
    assert (report.added, report.embedded) == (0, 10)
    assert sorted(gallery.recipes().values()) == ["other", "toy"]


def test_new_weights_take_the_place_of_old_ones_when_all_is_embedded(gallery, samples):
    index(gallery, samples, Toy(1))
    gallery.store(Toy(1).recipe_hash())
    index(gallery, samples[:4], Toy(2))
    assert set(gallery.recipes()) == {Toy(1).recipe_hash(), Toy(2).recipe_hash()}
    index(gallery, samples, Toy(2))
    assert set(gallery.recipes()) == {Toy(2).recipe_hash()}
    assert not list((gallery.folder / "cache").glob(f"{Toy(1).recipe_hash()}*"))


def test_what_was_embedded_before_an_error_is_kept(gallery, samples):
    class Failing(Toy):
        def embed(self, pictures):
            if self.embedded >= 6:
                raise KeyboardInterrupt
            return super().embed(pictures)

    with pytest.raises(KeyboardInterrupt):
        index(gallery, samples, Failing(), batch_size=3)
    assert gallery.count() == 6
    report = index(gallery, samples, Toy(), batch_size=3)
    assert (report.unchanged, report.added) == (6, 4)


def test_a_gallery_removed_while_indexing_stops_it_with_one_sentence(gallery, samples, tmp_path):
    class Removing(Toy):
        def embed(self, pictures):
            if self.embedded == 4:
                Library(tmp_path / "data").remove("g")
            return super().embed(pictures)

    with pytest.raises(GalleryError, match="gone"):
        index(gallery, samples, Removing(), batch_size=4)
    assert Library(tmp_path / "data").names() == []


def test_nothing_to_index(gallery):
    report = index(gallery, [], Toy())
    assert (report.added, report.failed) == (0, 0)


def test_pictures_added_without_vectors_get_them(gallery, samples):
    gallery.add(samples)
    report = index(gallery, samples, Toy())
    assert (report.added, report.embedded) == (0, 10)
    assert gallery.missing(Toy().recipe_hash()) == []


def test_a_file_is_read_once(gallery, samples, monkeypatch):
    opened: list[str] = []
    read = files.read

    def counting(path, name=None):
        opened.append(str(path))
        return read(path, name)

    monkeypatch.setattr(files, "read", counting)
    index(gallery, samples, Toy(), copy=True)
    assert sorted(opened) == sorted(str(sample.path) for sample in samples)
