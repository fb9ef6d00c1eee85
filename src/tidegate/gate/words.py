"""Numbers in words: how shares, differences, plain numbers and sizes are said in findings."""

import math

from tidegate.domain import Unit


def say(value: float, unit: Unit) -> str:
    """A value in its unit: `91.2%`, `+2.1 pp`, `0.9124`, `12.4 MB`."""
    if math.isinf(value):
        return "unbounded"
    if unit == "share":
        return f"{value:.1%}"
    if unit == "points":
        return f"{points(value)} pp"
    return say_bytes(value) if unit == "bytes" else plain(value)


def say_interval(low: float, high: float, unit: Unit) -> str:
    """Both ends of an interval, the unit once: `[-0.2, +4.4] pp`."""
    if unit == "points":
        return f"[{points(low)}, {points(high)}] pp"
    return f"[{say(low, unit)}, {say(high, unit)}]"


def say_difference(value: float, unit: Unit) -> str:
    """A difference of two values: shares differ by points, numbers are signed."""
    return f"{points(value)} pp" if unit == "share" else f"{value + 0.0:+.4g}"


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed; zero has no sign to lose."""
    return "unbounded" if math.isinf(difference) else f"{round(100 * difference, 1) + 0.0:+.1f}"


def plain(value: float) -> str:
    """A number to four digits."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def say_bytes(size: float) -> str:
    """A size in powers of 1000."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(size) >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} B"
