"""Search: pictures into galleries, and galleries answering pictures."""

from reid.search.indexing import IndexReport, embed_missing, index
from reid.search.query import REVEALED, Hit, Hits, PartMatch, search

__all__ = ["REVEALED", "Hit", "Hits", "IndexReport", "PartMatch", "embed_missing", "index", "search"]
