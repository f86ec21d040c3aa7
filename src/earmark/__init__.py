"""Earmark: hear music, name its genre."""

__version__ = "0.1.0"
