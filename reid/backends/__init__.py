"""Backends: each turns pictures into embeddings, boxes, label maps or skeletons, behind one registry."""

from reid.backends.registry import (
    Backend,
    Boxes,
    Card,
    Parse,
    Skeleton,
    card,
    cards,
    create,
    default,
    get,
    markdown_table,
    register,
)

__all__ = [
    "Backend",
    "Boxes",
    "Card",
    "Parse",
    "Skeleton",
    "card",
    "cards",
    "create",
    "default",
    "get",
    "markdown_table",
    "register",
]
