"""Figures of retrieval, parsing, detection and pose: pure functions of arrays.

Ranked figures come from distances given whole or as blocks of rows, so that memory stays bounded by a block. Only the
ranks of matches are needed: a row is sorted by value alone and each match's rank is looked up in it, with ties counted
as a stable sort of the row would order them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 256


@dataclass(frozen=True)
class RankMetrics:
    """Single-query figures of a cross-camera search, as fractions 0..1.

    Attributes:
        cmc: (K,) float64; cmc[k - 1] is rank-k: the share of queries with a match among the first k.
        mAP: mean over queries of the average precision.
        mINP: mean over queries of matches / rank of the last match (Ye et al., "Deep Learning for Person
            Re-identification: A Survey and Outlook", TPAMI 2021).
        valid_queries: queries with at least one match; the others are not counted.
    """

    cmc: np.ndarray
    mAP: float  # noqa: N815
    mINP: float  # noqa: N815
    valid_queries: int

    def rank(self, k: int) -> float:
        """Rank-k; beyond the curve's end the last value holds."""
        return float(self.cmc[min(k, len(self.cmc)) - 1]) if len(self.cmc) else 0.0


@dataclass(frozen=True)
class RelevanceMetrics:
    """Figures of a search by class, as fractions 0..1.

    Attributes:
        precision: mean share of relevant pictures among the first k (`k` given to `relevance_metrics`).
        mAP: mean over queries of the average precision.
        valid_queries: queries with at least one relevant picture beside themselves; the others are not counted.
    """

    precision: float
    mAP: float  # noqa: N815
    valid_queries: int


def cosine_blocks(query: np.ndarray, gallery: np.ndarray, rows: int = BLOCK_ROWS) -> Iterator[np.ndarray]:
    """Negated cosine similarities in blocks of rows: what the ranked figures take as distances.

    Args:
        query: (Q, D), rows L2-normalised.
        gallery: (G, D), rows L2-normalised.
        rows: queries a block.

    Yields:
        (b, G) float32 with b <= rows; the caller may change it.
    """
    query = np.asarray(query, np.float32)
    columns = np.asarray(gallery, np.float32).T
    for start in range(0, len(query), rows):
        block = query[start : start + rows] @ columns
        yield np.negative(block, out=block)


def rank_metrics(
    distances: np.ndarray | Iterable[np.ndarray],
    query_ids: Sequence | np.ndarray,
    query_cameras: Sequence | np.ndarray | None,
    gallery_ids: Sequence | np.ndarray,
    gallery_cameras: Sequence | np.ndarray | None,
    *,
    junk: str = "-1",
    max_rank: int = 50,
) -> RankMetrics:
    """CMC, mAP and mINP by the single-query protocol of Market-1501.

    Junk is dropped, distractors stay as negatives, and for each query what has its identity and its camera is left out
    (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015). Ties rank in gallery order.

    Args:
        distances: (Q, G), smaller is nearer; or blocks of its rows in order, e.g. `cosine_blocks(query, gallery)`.
        query_ids: Q identities, of any type that prints alike on both sides.
        query_cameras: Q cameras, or None: nothing is left out.
        gallery_ids: G identities.
        gallery_cameras: G cameras, or None.
        junk: the identity that is dropped on both sides.
        max_rank: length of the CMC curve.

    Raises:
        ValueError: lengths do not fit, or a distance is not finite.
    """
    query, gallery = _codes(query_ids, gallery_ids)
    is_junk = np.asarray(gallery_ids).astype(str) == junk
    asks = np.asarray(query_ids).astype(str) != junk
    if query_cameras is None or gallery_cameras is None:
        query_at, gallery_at = np.zeros(len(query), np.int64), np.ones(len(gallery), np.int64)
    else:
        query_at, gallery_at = _codes(query_cameras, gallery_cameras)
        _check_length("query cameras", query_at, len(query))
        _check_length("gallery cameras", gallery_at, len(gallery))
    members = _members(gallery)

    curve = np.zeros(max_rank)
    precision, inverse, valid = 0.0, 0.0, 0
    for row, i in _rows(distances, len(query), len(gallery)):
        if not asks[i]:
            continue
        same = members.get(int(query[i]), _NOBODY)
        matches = same[gallery_at[same] != query_at[i]]
        if not len(matches):
            continue
        row[is_junk] = np.inf
        row[same[gallery_at[same] == query_at[i]]] = np.inf
        ranks = _ranks(row, matches)
        valid += 1
        if ranks[0] < max_rank:
            curve[ranks[0]] += 1
        precision += _average_precision(ranks)
        inverse += len(ranks) / (ranks[-1] + 1)
    count = max(valid, 1)
    return RankMetrics(np.cumsum(curve) / count, float(precision / count), float(inverse / count), valid)


def relevance_metrics(
    distances: np.ndarray | Iterable[np.ndarray], classes: Sequence | np.ndarray, *, k: int = 10
) -> RelevanceMetrics:
    """P@k and mAP where every picture asks all others and its class is relevant. Ties rank in the order of pictures.

    Args:
        distances: (N, N), smaller is nearer; or blocks of its rows in order.
        classes: N class names.
        k: how many of the first count for the precision.

    Raises:
        ValueError: lengths do not fit, or a distance is not finite.
    """
    codes, _ = _codes(classes, classes)
    members = _members(codes)
    at_k, precision, valid = 0.0, 0.0, 0
    for row, i in _rows(distances, len(codes), len(codes)):
        same = members[int(codes[i])]
        matches = same[same != i]
        if not len(matches):
            continue
        row[i] = np.inf
        ranks = _ranks(row, matches)
        valid += 1
        at_k += np.count_nonzero(ranks < k) / k
        precision += _average_precision(ranks)
    count = max(valid, 1)
    return RelevanceMetrics(float(at_k / count), float(precision / count), valid)


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Pixels by true class (rows) and predicted class (columns).

    Args:
        truth: integers of any shape; what is not in 0..classes - 1 is void and not counted.
        predicted: integers of the same shape; what is not in 0..classes - 1 counts as a miss of its true class, in the
            extra last column.
        classes: number of classes C.

    Returns:
        (C, C + 1) int64; sums of such matrices stay valid.
    """
    truth, predicted = np.asarray(truth).astype(np.int64).ravel(), np.asarray(predicted).astype(np.int64).ravel()
    if truth.shape != predicted.shape:
        raise ValueError(f"{truth.size} true labels but {predicted.size} predicted ones")
    counted = (truth >= 0) & (truth < classes)
    truth, predicted = truth[counted], predicted[counted]
    predicted = np.where((predicted >= 0) & (predicted < classes), predicted, classes)
    counts = np.bincount(truth * (classes + 1) + predicted, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1)


def mean_iou(confusion: np.ndarray) -> tuple[float, np.ndarray, float]:
    """Mean intersection over union, each class's, and the pixel accuracy, as fractions 0..1.

    Args:
        confusion: (C, C) or (C, C + 1) counts, as `confusion_matrix` makes them.

    Returns:
        The mean over classes that occur in truth or prediction (nan if none does); (C,) float64, nan where a class
        occurs in neither; the share of counted pixels that are right.
    """
    confusion = np.asarray(confusion, np.float64)
    right = np.diagonal(confusion)
    union = confusion.sum(1) + confusion[:, : len(confusion)].sum(0) - right
    with np.errstate(invalid="ignore"):
        iou = np.where(union > 0, right / union, np.nan)
    occurring = iou[~np.isnan(iou)]
    mean = float(occurring.mean()) if len(occurring) else float("nan")
    return mean, iou, float(right.sum() / max(confusion.sum(), 1))


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of each box of `a` (N, 4) with each of `b` (M, 4), both XYXY: (N, M) float64."""
    a, b = np.asarray(a, np.float64).reshape(-1, 4), np.asarray(b, np.float64).reshape(-1, 4)
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = (np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=1) for x in (a, b))
    union = area_a[:, None] + area_b[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def average_precision_50(
    found: Sequence[tuple[np.ndarray, np.ndarray]], truth: Sequence[np.ndarray], *, iou: float = 0.5
) -> float:
    """Average precision of boxes of one class at an overlap of 0.5: the area under the interpolated precision curve.

    As PASCAL VOC from 2010 on defines it (Everingham et al., "The PASCAL Visual Object Classes Challenge: A
    Retrospective", IJCV 2015): over all frames, best score first, a box is right if the true box it overlaps most, by
    `iou` or more, was not found before.

    Args:
        found: a frame each: XYXY boxes (N, 4) and scores (N,).
        truth: a frame each: XYXY boxes (M, 4).
        iou: the overlap that makes a box right.

    Returns:
        0..1; nan where there is no true box at all.
    """
    if len(found) != len(truth):
        raise ValueError(f"boxes found in {len(found)} frames but true boxes of {len(truth)}")
    total = sum(len(boxes) for boxes in truth)
    if total == 0:
        return float("nan")
    scores = np.concatenate([np.asarray(s, np.float64).ravel() for _, s in found] or [np.zeros(0)])
    right = np.concatenate([_right_boxes(*boxes, true, iou) for boxes, true in zip(found, truth, strict=True)])
    right = right[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_from_here[right].sum() / total)


def best_threshold(
    found: Sequence[tuple[np.ndarray, np.ndarray]], truth: Sequence[np.ndarray], *, iou: float = 0.5
) -> float:
    """The score from which on boxes are best told of: where the harmonic mean of precision and recall (F1) is greatest.

    Args:
        found, truth, iou: as `average_precision_50` takes them.

    Returns:
        The middle between the last score that is told of and the next; nan where no box is right.
    """
    scores = np.concatenate([np.asarray(s, np.float64).ravel() for _, s in found] or [np.zeros(0)])
    right = np.concatenate(
        [_right_boxes(*boxes, true, iou) for boxes, true in zip(found, truth, strict=True)] or [np.zeros(0, bool)]
    )
    if not right.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    # 2 PR / (P + R), which is twice the hits over boxes told of and boxes there are.
    best = int(np.argmax(2 * hits / (np.arange(1, len(hits) + 1) + sum(len(boxes) for boxes in truth))))
    here = scores[order[best]]
    following = scores[order[best + 1]] if best + 1 < len(order) else here
    return float((here + following) / 2)


def pck(
    predicted: np.ndarray,
    truth: np.ndarray,
    scale: np.ndarray | float,
    visible: np.ndarray | None = None,
    *,
    alpha: float,
) -> float:
    """Percentage of correct keypoints as a fraction: visible joints within `alpha` x `scale` of the truth.

    After Yang and Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts", TPAMI 2013.

    Args:
        predicted: (N, J, 2), pixels.
        truth: (N, J, 2), pixels.
        scale: what a person measures, in pixels: (N,) or one number, e.g. the length of the torso or the box's height.
        visible: (N, J) bool, the joints that count; by default all.
        alpha: the share of `scale` that a joint may be off.

    Returns:
        0..1; nan where no joint counts.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or predicted.ndim != 3 or predicted.shape[2] != 2:
        raise ValueError(f"predicted and true joints are (N, J, 2) alike, not {predicted.shape} and {truth.shape}")
    off = np.linalg.norm(predicted - truth, axis=2)
    right = off <= alpha * np.broadcast_to(np.asarray(scale, np.float64), len(off))[:, None]
    counted = np.ones(off.shape, bool) if visible is None else np.asarray(visible, bool)
    return float(right[counted].mean()) if counted.any() else float("nan")


_NOBODY = np.zeros(0, np.int64)


def _codes(first: Sequence | np.ndarray, second: Sequence | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides' names as integers that agree where the names do."""
    first, second = np.asarray(first).astype(str), np.asarray(second).astype(str)
    _, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    return codes[: len(first)], codes[len(first) :]


def _members(codes: np.ndarray) -> dict[int, np.ndarray]:
    """For each code the indices that bear it, ascending."""
    order = np.argsort(codes, kind="stable")
    values, starts = np.unique(codes[order], return_index=True)
    ends = np.append(starts, len(codes))[1:]
    return {int(value): order[start:end] for value, start, end in zip(values, starts, ends, strict=True)}


def _rows(distances: np.ndarray | Iterable[np.ndarray], queries: int, gallery: int) -> Iterator[tuple[np.ndarray, int]]:
    """Each row of the distances, as a floating copy that may be changed, with its number."""
    blocks: Iterable[np.ndarray] = [distances] if isinstance(distances, np.ndarray) else distances
    i = 0
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != gallery or i + len(block) > queries:
            raise ValueError(f"distances must be ({queries}, {gallery}) in all, but rows {i} on are {block.shape}")
        for row in block:
            if not np.isfinite(row).all():
                raise ValueError(f"the distances of query {i} are not all finite")
            yield row.astype(np.result_type(row, np.float32)), i
            i += 1
    _check_length("rows of distances", range(i), queries)


def _ranks(row: np.ndarray, matches: np.ndarray) -> np.ndarray:
    """Ascending ranks, from 0, of the items `matches` (ascending indices) when `row` is sorted stably."""
    ordered = np.sort(row)
    values = row[matches]
    ranks = np.searchsorted(ordered, values, side="left")
    last = np.minimum(ranks + 1, len(row) - 1)
    for j in np.flatnonzero((ordered[last] == values) & (last > ranks)):  # shared values: earlier items come first
        ranks[j] += np.count_nonzero(row[: matches[j]] == values[j])
    return np.sort(ranks)


def _average_precision(ranks: np.ndarray) -> float:
    return float(np.mean(np.arange(1, len(ranks) + 1) / (ranks + 1)))


def _right_boxes(boxes: np.ndarray, scores: np.ndarray, truth: np.ndarray, iou: float) -> np.ndarray:
    """Which boxes of one frame are right: (N,) bool in their own order."""
    overlap = box_iou(boxes, truth)
    right = np.zeros(len(overlap), bool)
    taken: set[int] = set()
    if overlap.shape[1] == 0:
        return right
    for i in np.argsort(-np.asarray(scores, np.float64), kind="stable"):
        best = int(overlap[i].argmax())
        if overlap[i, best] >= iou and best not in taken:
            taken.add(best)
            right[i] = True
    return right


def _check_length(what: str, values: Sequence | np.ndarray, length: int) -> None:
    if len(values) != length:
        raise ValueError(f"{len(values)} {what}, but {length} are needed")
