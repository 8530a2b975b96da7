"""The search index, under the name that other programs know it by."""

from ftlib.search.index import Index

__all__ = ["Index"]
