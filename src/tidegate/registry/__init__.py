"""Bundles: packed and signed once, verified at every opening, released by digest."""
