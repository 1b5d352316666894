"""Partwise: a picture becomes an embedding, an embedding finds its neighbours, and a person sees why."""

__version__ = "0.1.0"
