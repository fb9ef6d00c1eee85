"""Tidegate carries a model from a git commit to a live, watched service, and back."""

__version__ = "0.1.0"
