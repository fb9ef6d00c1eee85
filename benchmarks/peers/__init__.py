"""The servers that `serving.py` compares, and what it asks them with."""
