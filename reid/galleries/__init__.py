"""Galleries: pictures with their words and vectors, kept in SQLite, found through FAISS."""

from reid.galleries.gallery import Gallery, GalleryInfo
from reid.galleries.library import Library
from reid.galleries.records import Item
from reid.galleries.vectors import FaissStore, VectorStore

__all__ = ["FaissStore", "Gallery", "GalleryInfo", "Item", "Library", "VectorStore"]
