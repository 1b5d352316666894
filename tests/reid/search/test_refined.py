import numpy as np
import pytest

from reid.backends import Backend, Card, get
from reid.embedding import Embeddings
from reid.errors import GalleryError, PartwiseError, UnknownNameError
from reid.galleries import Library
from reid.images import save_image
from reid.search import index, search
from reid.search.geometry import MIN_INLIERS
from reid.search.refined import (
    Judged,
    fitted_weights,
    items_named,
    read_map,
    refit,
    search_expanded,
    search_fused,
    search_judged,
    unlearn,
)
from tests.reid.backends.pictures import scene
from tests.reid.galleries.toys import Sample, Toy, folder_of


class Mean(Backend):
    """The mean colour: less than the toy knows, in cosines of its own range."""

    card = Card("mean", "baseline", "any", ("embed",), "Mean colour.", dim=4)

    def load(self) -> None:
        pass

    def embed(self, pictures):
        colours = [np.append(picture.reshape(-1, 3).mean(0) - 128, 60.0) for picture in pictures]
        return Embeddings.of(np.array(colours, np.float32).reshape(-1, 4))


@pytest.fixture
def gallery(tmp_path):
    gallery = Library(tmp_path / "data").create("toys")
    samples = folder_of(tmp_path, 24)
    for backend in (Toy(), Mean()):
        index(gallery, samples, backend)
    return gallery


def picture_of(gallery, n):
    return gallery.picture(gallery.items()[n])


class TestFused:
    def test_two_agree_on_the_picture_itself(self, gallery):
        hits = search_fused(gallery, [Toy(), Mean()], picture_of(gallery, 5), top=4)
        assert hits.hits[0].item.name == "005.png"
        assert hits.hits[0].similarity == 1
        assert set(hits.hits[0].parts) == {"toy", "mean"}
        assert hits.hits[0].parts["toy"].similarity == pytest.approx(1, abs=1e-4)
        assert hits.searched == 24
        scores = [hit.similarity for hit in hits.hits]
        assert scores == sorted(scores, reverse=True)

    def test_all_weight_on_one_is_that_ones_ranking(self, gallery):
        query = picture_of(gallery, 3)
        alone = [hit.item.name for hit in search(gallery, Mean(), query).hits]
        fused = [hit.item.name for hit in search_fused(gallery, [Toy(), Mean()], query, weights=[0, 1]).hits]
        assert fused == alone

    def test_filters_hold(self, gallery):
        hits = search_fused(gallery, [Toy(), Mean()], picture_of(gallery, 0), cameras=["c1"], method="ranks")
        assert {hit.item.camera for hit in hits.hits} == {"c1"}
        assert hits.searched == 8

    def test_a_member_without_vectors_is_named(self, gallery, tmp_path):
        with pytest.raises(GalleryError, match="toy"):
            search_fused(gallery, [Toy(version=2), Mean()], picture_of(gallery, 0))

    def test_weights_are_fitted_on_labelled_pictures(self, gallery, tmp_path):
        weights = fitted_weights(gallery, [Toy(), Mean()])
        assert weights.shape == (2,)
        assert weights.sum() == pytest.approx(1)
        strangers = Library(tmp_path / "other").create("strangers")
        for backend in (Toy(), Mean()):
            index(strangers, folder_of(tmp_path / "s", 4, identities=4), backend)
        with pytest.raises(GalleryError, match="no identity with two pictures"):
            fitted_weights(strangers, [Toy(), Mean()])


class TestExpanded:
    def test_the_query_moves_towards_what_it_found(self, gallery):
        query = Toy().embed([picture_of(gallery, 2)])[0]
        plain = search(gallery, Toy(), query, top=24)
        expanded = search_expanded(gallery, Toy(), query, neighbours=4, alpha=0, top=24)
        second = plain.hits[1].item.name
        before, after = ({h.item.name: h.similarity for h in found.hits}[second] for found in (plain, expanded))
        assert after > before

    def test_no_neighbours_is_a_plain_search(self, gallery):
        query = picture_of(gallery, 2)
        names = [h.item.name for h in search(gallery, Toy(), query).hits]
        assert [h.item.name for h in search_expanded(gallery, Toy(), query, neighbours=0).hits] == names

    def test_an_augmented_gallery_is_compared_anew_and_filters_hold(self, gallery):
        hits = search_expanded(gallery, Toy(), picture_of(gallery, 2), neighbours=0, augment=3, cameras=["c2"], top=5)
        assert {h.item.camera for h in hits.hits} == {"c2"}
        assert hits.hits[0].similarity < 1  # the picture is averaged with others by now
        with pytest.raises(PartwiseError, match="leave them out"):
            search_expanded(gallery, Toy(), picture_of(gallery, 2), augment=3, rerank="parts")


class TestJudged:
    def test_right_hits_rise_and_wrong_ones_fall(self, gallery):
        query = picture_of(gallery, 2)
        plain = {h.item.id: h.similarity for h in search(gallery, Toy(), query, top=24).hits}
        ids = list(plain)
        moved = search_judged(gallery, Toy(), query, Judged((ids[8],), (ids[1],)), top=24)
        after = {h.item.id: h.similarity for h in moved.hits}
        assert after[ids[8]] > plain[ids[8]]
        assert after[ids[1]] < plain[ids[1]]

    def test_a_refitted_map_stays_with_the_gallery_until_it_is_unlearnt(self, gallery):
        backend, query = Toy(), picture_of(gallery, 2)
        ids = [h.item.id for h in search(gallery, backend, query, top=24).hits]
        assert read_map(gallery, backend) is None
        judged = Judged((ids[8], ids[9]), (ids[1],))
        learnt = refit(gallery, backend, query, judged)
        again = read_map(gallery, backend)
        np.testing.assert_allclose(again.change, learnt.change, atol=1e-3)
        # Another query is answered by it: the judged like stand nearer together than before.
        other = Toy().embed([gallery.picture(ids[8])])[0]
        plain = {h.item.id: h.rank for h in search(gallery, backend, other, top=24).hits}
        bent = {h.item.id: h.rank for h in search_judged(gallery, backend, other, Judged(), bent=True, top=24).hits}
        assert bent[ids[9]] <= plain[ids[9]]
        assert bent != plain
        unlearn(gallery, backend)
        assert read_map(gallery, backend) is None

    def test_judgements_add_up(self, gallery):
        backend, query = Toy(), picture_of(gallery, 2)
        ids = [item.id for item in gallery.items()]
        first = refit(gallery, backend, query, Judged((ids[3],)))
        second = refit(gallery, backend, query, Judged((), (ids[4],)))
        assert len(second.basis) == len(first.basis) + 1

    def test_a_damaged_file_counts_as_none(self, gallery):
        backend, query = Toy(), picture_of(gallery, 2)
        refit(gallery, backend, query, Judged((gallery.items()[3].id,)))
        next((gallery.folder / "feedback").iterdir()).write_bytes(b"what")
        assert read_map(gallery, backend) is None

    def test_nothing_judged_is_refused(self, gallery):
        with pytest.raises(PartwiseError, match="mark a hit"):
            refit(gallery, Toy(), picture_of(gallery, 2), Judged())


def test_items_are_found_by_name(gallery):
    ids = items_named(gallery, ["003.png", "001.png"])
    assert [gallery.item(i).name for i in ids] == ["003.png", "001.png"]
    with pytest.raises(UnknownNameError, match=r"nobody\.png"):
        items_named(gallery, ["nobody.png"])


def test_what_several_find_is_checked_by_geometry(tmp_path):
    paths = [tmp_path / f"{seed}.png" for seed in range(6)]
    for seed, path in enumerate(paths):
        save_image(path, scene(seed))
    gallery = Library(tmp_path / "data").create("scenes")
    orb = get("orb")
    for backend in (Mean(), orb):
        index(gallery, [Sample(path, path.name) for path in paths], backend)
    view = scene(4)[30:220, 40:300] // 2  # colours alone would not find it
    members = [Mean(), orb]
    hits = search_fused(gallery, members, view, weights=[1, 0], rerank="geometry")
    assert hits.hits[0].item.name == "4.png"
    assert hits.hits[0].matches.inliers >= MIN_INLIERS
    plain = search_fused(gallery, members, view, weights=[1, 0])
    assert plain.hits[0].item.name != "4.png"
    assert hits.searched == plain.searched == 6
    with pytest.raises(PartwiseError, match="geometry alone"):
        search_fused(gallery, members, view, rerank="parts")
    with pytest.raises(PartwiseError, match="sift, surf or orb"):
        search_fused(gallery, [Mean(), Mean()], view, rerank="geometry")
