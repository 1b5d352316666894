"""Keywords against people's words: garments, bags, hats and hair of Market-1501's test identities.

    PARTWISE_MARKET1501=DIR PARTWISE_MARKET1501_ATTRIBUTES=FILE.mat python -m benchmarks.attributes [BACKEND ...]

Attributes of Lin et al., "Improving Person Re-identification by Attribute and Identity Learning", Pattern Recognition
2019. A backend that parses people gives a picture's words; a picture without the word in question counts as wrong. The
set's colours are fewer than ours: of those it lacks, each counts as the nearest that it has (`NEAREST`), as it does in
the set. An identity's vote is the colour that most of its pictures have.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from reid import backends
from reid.backends import Backend
from reid.datasets import read_folder
from reid.pipeline import decode_batches
from reid.search.keywords import embed_with_words

UPPER = ("black", "white", "red", "purple", "yellow", "gray", "blue", "green")
LOWER = ("black", "white", "pink", "purple", "yellow", "gray", "blue", "green", "brown")
NEAREST = {
    "up": {"grey": "gray", "pink": "red", "orange": "red", "brown": "gray"},
    "down": {"grey": "gray", "red": "pink", "orange": "brown"},
}
# attribute of the set: what its second value ("yes", "long", "short" lower clothes) is called in ours
YES = {"hat": "hat", "hair": "long", "down": "bare legs"}
BAGS = ("backpack", "bag", "handbag")


def read_attributes(path: Path, split: str = "test") -> dict[str, dict[str, int]]:
    """Attribute values by identity; values are 1 (no) or 2 (yes), ages up to 4."""
    from scipy.io import loadmat

    table = loadmat(path)["market_attribute"][0, 0][split][0, 0]
    identities = [str(cell.item()) for cell in table["image_index"][0]]
    names = [name for name in table.dtype.names if name != "image_index"]
    return {who: {name: int(table[name][0, i]) for name in names} for i, who in enumerate(identities)}


def colour_of(words: Iterable[str], garment: str, nearest: dict[str, str]) -> str:
    """The colour that the words give the garment, in the set's terms; empty where they give none."""
    found = next((word.split()[0] for word in words if word.endswith(f" {garment}")), "")
    return nearest.get(found, found)


def true_colour(attributes: dict[str, int], prefix: str, colours: Sequence[str]) -> str | None:
    """The one colour labelled yes; None where none is (several colours, or another)."""
    return next((colour for colour in colours if attributes[prefix + colour] == 2), None)


def words_of(backend: Backend, folder: Path) -> list[tuple[str, list[str]]]:
    """Identity and words, as an index keeps them, of each picture of the folder that has an identity."""
    samples = [s for s in read_folder(folder, "market1501") if s.identity not in (None, "-1", "0000")]
    said: list[tuple[str, list[str]]] = []
    for batch in decode_batches(samples):
        words = embed_with_words(backend, batch.pictures)[1]
        assert words is not None
        said += [(str(sample.identity), text.split(", ")) for sample, text in zip(batch.samples, words, strict=True)]
    return said


def rows(
    said: Sequence[tuple[str, list[str]]], attributes: dict[str, dict[str, int]]
) -> list[tuple[str, float, float]]:
    """(what, by picture, by identity), percentages: accuracy of colours, balanced accuracy of yes and no."""
    result = []
    for what, prefix, colours in (("upper", "up", UPPER), ("lower", "down", LOWER)):
        pairs = [
            (who, colour_of(words, what, NEAREST[prefix]), true_colour(attributes[who], prefix, colours))
            for who, words in said
            if who in attributes
        ]
        pairs = [(who, found, truth) for who, found, truth in pairs if truth]
        votes: dict[str, Counter[str]] = defaultdict(Counter)
        for who, found, _ in pairs:
            votes[who][found] += 1
        by_picture = np.mean([found == truth for _, found, truth in pairs])
        by_identity = np.mean([votes[who].most_common(1)[0][0] == t for who, t in {(w, t) for w, _, t in pairs}])
        result.append((f"{what} colour", 100 * float(by_picture), 100 * float(by_identity)))
    for name, word in YES.items():
        result.append((word, *balanced(said, word, attributes, (name,))))
    result.append(("bag", *balanced(said, "bag", attributes, BAGS)))
    return result


def balanced(
    said: Sequence[tuple[str, list[str]]], word: str, attributes: dict[str, dict[str, int]], names: Sequence[str]
) -> tuple[float, float]:
    """Of those that have any of these attributes the share told so, and of the others the share not: their mean, by
    picture and by identity (told by at least half of its pictures). 50 is chance."""
    told: dict[str, list[bool]] = defaultdict(list)
    for who, words in said:
        if who in attributes:
            told[who].append(any(one == word or one.startswith(f"{word} ") for one in words))
    has = {who: any(attributes[who][name] == 2 for name in names) for who in told}

    def mean(values: dict[str, list[bool]]) -> float:
        right = [[v == yes for who in values if has[who] == yes for v in values[who]] for yes in (True, False)]
        return 100 * float(np.mean([np.mean(side) for side in right if side]))

    return mean(told), mean({who: [bool(np.mean(values) >= 0.5)] for who, values in told.items()})


def main(names: Sequence[str] = ()) -> None:
    root, labels = os.environ.get("PARTWISE_MARKET1501"), os.environ.get("PARTWISE_MARKET1501_ATTRIBUTES")
    if not root or not labels:
        print("Passed over: PARTWISE_MARKET1501 and PARTWISE_MARKET1501_ATTRIBUTES are not both set.")
        return
    able = [c.name for c in backends.cards() if "parse" in c.does and c.subject == "person"]
    attributes = read_attributes(Path(labels))
    print("| backend | what | by picture | by identity |\n| --- | --- | --- | --- |")
    for name in names or able:
        said = words_of(backends.get(name), Path(root) / "bounding_box_test")
        for what, picture, identity in rows(said, attributes):
            print(f"| {name} | {what} | {picture:.1f} | {identity:.1f} |", flush=True)
    if not names and not able:
        print("| no backend parses people yet | | | |")


if __name__ == "__main__":
    main(sys.argv[1:])
