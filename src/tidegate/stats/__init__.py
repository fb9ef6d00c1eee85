"""Counts in, bounds, p-values and e-values out: no clock, no files, no randomness without a seed."""
