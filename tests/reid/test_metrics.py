"""The figures agree with two public toolkits, and with plain loops over everything hypothesis can think of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.metrics import (
    average_precision_50,
    best_threshold,
    box_iou,
    confusion_matrix,
    cosine_blocks,
    mean_iou,
    pck,
    rank_metrics,
    relevance_metrics,
)

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(DATA / "reid_metrics.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def expected() -> dict:
    return json.loads((DATA / "reid_metrics.json").read_text())


def sides(golden) -> tuple[np.ndarray, ...]:
    return golden["query_ids"], golden["query_cams"], golden["gallery_ids"], golden["gallery_cams"]


@pytest.mark.parametrize("rows", [1, 7, 256])
def test_agrees_with_public_toolkits(golden, expected, rows):
    ours = rank_metrics(cosine_blocks(golden["query"], golden["gallery"], rows), *sides(golden))
    for toolkit in ("torchreid", "fastreid"):
        assert ours.mAP == pytest.approx(expected[toolkit]["mAP"], abs=1e-6)
        for k, value in expected[toolkit]["cmc"].items():
            assert ours.rank(int(k)) == pytest.approx(value, abs=1e-6)
    assert ours.mINP == pytest.approx(expected["fastreid"]["mINP"], abs=1e-6)
    assert ours.valid_queries == expected["fastreid"]["valid_queries"] < len(golden["query"])


def test_agrees_on_given_distances(golden, expected):
    ours = rank_metrics(golden["reranked"], *sides(golden))
    theirs = expected["torchreid_reranked_k20_k6_l0.3"]
    assert ours.mAP == pytest.approx(theirs["mAP"], abs=1e-6)
    for k, value in theirs["cmc"].items():
        assert ours.rank(int(k)) == pytest.approx(value, abs=1e-6)


def plain_ranks(row, counts, right):
    """Ranks, from 0, of what is right among what counts, by a stable sort."""
    kept = [j for j in sorted(range(len(row)), key=lambda j: (row[j], j)) if counts[j]]
    return [rank for rank, j in enumerate(kept) if right[j]]


def plain_figures(ranks_of_queries, k):
    """First ranks' curve, mean AP and mean INP by their definitions."""
    asked = [ranks for ranks in ranks_of_queries if ranks]
    n = max(len(asked), 1)
    curve = [sum(ranks[0] < i for ranks in asked) / n for i in range(1, k + 1)]
    precision = sum(sum((i + 1) / (rank + 1) for i, rank in enumerate(ranks)) / len(ranks) for ranks in asked) / n
    inverse = sum(len(ranks) / (ranks[-1] + 1) for ranks in asked) / n
    return curve, precision, inverse, len(asked)


ids = st.sampled_from(["-1", "0000", "1", "2", "3"])
cameras = st.sampled_from(["c1", "c2"])


@settings(max_examples=200, deadline=None)
@given(st.data(), st.lists(st.tuples(ids, cameras), max_size=6), st.lists(st.tuples(ids, cameras), max_size=25))
def test_ranked_figures_equal_plain_loops(data, query, gallery):
    # Few values, so that ties abound.
    cells = st.lists(st.integers(0, 5), min_size=len(gallery), max_size=len(gallery))
    distances = np.array([data.draw(cells) for _ in query], np.float32).reshape(len(query), len(gallery))
    ranks = [
        plain_ranks(
            row,
            [other != "-1" and not (other == who and at == where) for other, at in gallery],
            [other == who for other, at in gallery],
        )
        if who != "-1"
        else []
        for row, (who, where) in zip(distances, query, strict=True)
    ]
    curve, precision, inverse, valid = plain_figures(ranks, 10)
    before = distances.copy()
    ours = rank_metrics(
        distances,
        [who for who, _ in query],
        [where for _, where in query],
        [who for who, _ in gallery],
        [where for _, where in gallery],
        max_rank=10,
    )
    assert ours.cmc == pytest.approx(curve)
    assert ours.mAP == pytest.approx(precision)
    assert ours.mINP == pytest.approx(inverse)
    assert ours.valid_queries == valid
    assert (distances == before).all()


@settings(max_examples=100, deadline=None)
@given(st.data(), st.lists(st.sampled_from("abc"), min_size=1, max_size=20), st.integers(1, 6))
def test_relevance_figures_equal_plain_loops(data, classes, k):
    n = len(classes)
    cells = st.lists(st.integers(0, 5), min_size=n, max_size=n)
    distances = np.array([data.draw(cells) for _ in classes], np.float64)
    ranks = [
        plain_ranks(distances[i], [j != i for j in range(n)], [c == classes[i] for c in classes]) for i in range(n)
    ]
    asked = [r for r in ranks if r]
    ours = relevance_metrics(distances, classes, k=k)
    assert ours.mAP == pytest.approx(plain_figures(ranks, 1)[1])
    assert ours.precision == pytest.approx(sum(sum(rank < k for rank in r) / k for r in asked) / max(len(asked), 1))
    assert ours.valid_queries == len(asked)


def test_a_small_case_by_hand():
    # Ranked for the one query: wrong, right, (junk), (same camera), right.
    ours = rank_metrics(
        np.array([[0.1, 0.2, 0.25, 0.0, 0.3]]),
        ["7"],
        ["c1"],
        ["0000", "7", "-1", "7", "7"],
        ["c2", "c2", "c2", "c1", "c3"],
    )
    assert ours.rank(1) == 0
    assert ours.rank(2) == 1
    assert ours.rank(999) == 1
    assert ours.mAP == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert ours.mINP == pytest.approx(2 / 3)


def test_without_cameras_nothing_is_left_out():
    ours = rank_metrics(np.array([[0.1, 0.2]]), [7], None, [7, 8], None)
    assert (ours.rank(1), ours.valid_queries) == (1, 1)


def test_nothing_to_find_gives_zero():
    ours = rank_metrics(np.zeros((1, 1)), ["1"], ["c1"], ["2"], ["c2"])
    assert (ours.valid_queries, ours.mAP, ours.mINP, ours.rank(1)) == (0, 0, 0, 0)


def test_bad_distances_are_refused():
    with pytest.raises(ValueError, match="query 1 are not all finite"):
        rank_metrics(np.array([[0.1], [np.nan]]), [1, 1], [0, 0], [1], [1])
    with pytest.raises(ValueError, match=r"must be \(1, 2\)"):
        rank_metrics(np.zeros((1, 3)), [1], [0], [1, 2], [1, 1])
    with pytest.raises(ValueError, match="1 rows of distances, but 2"):
        rank_metrics(np.zeros((1, 1)), [1, 2], [0, 0], [1], [1])
    with pytest.raises(ValueError, match="1 query cameras"):
        rank_metrics(np.zeros((2, 1)), [1, 2], [0], [1], [1])


def test_cosine_blocks_cover_all():
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(5, 8)), rng.normal(size=(6, 8))
    blocks = list(cosine_blocks(query, gallery, 2))
    assert [len(b) for b in blocks] == [2, 2, 1]
    assert np.concatenate(blocks) == pytest.approx(-query @ gallery.T, abs=1e-5)


def test_mean_iou_by_hand():
    truth = np.array([[0, 0, 1], [1, 2, 11]])
    predicted = np.array([[0, 1, 1], [1, 11, 0]])
    confusion = confusion_matrix(truth, predicted, 4)
    assert confusion.tolist() == [[1, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    mean, each, accuracy = mean_iou(confusion)
    assert each[:3] == pytest.approx([1 / 2, 2 / 3, 0])
    assert np.isnan(each[3])
    assert mean == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert accuracy == pytest.approx(3 / 5)
    with pytest.raises(ValueError, match="6 true labels but 3"):
        confusion_matrix(truth, predicted[0], 4)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=60))
def test_mean_iou_equals_sets_of_pixels(pixels):
    truth, predicted = np.array([t for t, _ in pixels], int), np.array([p for _, p in pixels], int)
    _, each, _ = mean_iou(confusion_matrix(truth, predicted, 4))
    for c in range(4):
        a = {i for i, (t, _) in enumerate(pixels) if t == c}
        b = {i for i, (t, p) in enumerate(pixels) if p == c and t < 4}
        if a | b:
            assert each[c] == pytest.approx(len(a & b) / len(a | b))
        else:
            assert np.isnan(each[c])


def test_box_iou_by_hand():
    iou = box_iou(np.array([[0, 0, 2, 2], [5, 5, 5, 5]]), np.array([[1, 1, 3, 3], [0, 0, 2, 2], [9, 9, 10, 10]]))
    assert iou == pytest.approx(np.array([[1 / 7, 1, 0], [0, 0, 0]]))


def test_the_best_threshold_by_hand():
    box, far = np.array([[0.0, 0.0, 9.0, 9.0]]), np.array([[50.0, 50.0, 60.0, 60.0]])
    truth = [box, box, box]
    found = [(box, np.array([0.9])), (np.concatenate([box, far]), np.array([0.7, 0.5])), (far, np.array([0.4]))]
    assert best_threshold(found, truth) == pytest.approx(0.6)
    assert best_threshold([(box, np.array([0.3]))], [box]) == pytest.approx(0.3)
    assert np.isnan(best_threshold([(far, np.array([0.9]))], [box]))
    assert np.isnan(best_threshold([], []))


def test_average_precision_by_hand():
    box, other, far = [0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60]
    truth = [np.array([box, other]), np.array([box])]
    found = [
        (np.array([box, box, other]), np.array([0.9, 0.8, 0.3])),  # right, found before, right
        (np.array([far]), np.array([0.5])),  # wrong; the true box is missed
    ]
    # By score: right (precision 1), wrong, wrong, right (2/4); two of three found.
    assert average_precision_50(found, truth) == pytest.approx((1 + 2 / 4) / 3)
    nothing = (np.zeros((0, 4)), np.zeros(0))
    assert average_precision_50([nothing, nothing], truth) == 0
    assert np.isnan(average_precision_50([nothing], [np.zeros((0, 4))]))
    assert average_precision_50([found[0]], [np.array([box, other])]) == pytest.approx((1 + 2 / 3) / 2)
    with pytest.raises(ValueError, match="2 frames"):
        average_precision_50(found, truth[:1])


def test_pck_by_hand():
    truth = np.zeros((2, 2, 2))
    predicted = np.array([[[3, 4], [0, 0]], [[0, 11], [6, 8]]], float)  # off by 5, 0, 11, 10
    assert pck(predicted, truth, np.array([10, 20]), alpha=0.5) == pytest.approx(3 / 4)
    assert pck(predicted, truth, 10, alpha=0.5) == pytest.approx(2 / 4)
    assert pck(predicted, truth, 10, np.array([[False, True], [False, False]]), alpha=0.5) == 1
    assert np.isnan(pck(predicted, truth, 10, np.zeros((2, 2)), alpha=0.5))
    with pytest.raises(ValueError, match=r"\(N, J, 2\)"):
        pck(predicted, truth[:1], 10, alpha=0.5)
