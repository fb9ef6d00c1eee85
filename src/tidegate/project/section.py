"""What the tables of `tidegate.toml` are made of: strict records, and numbers that are written with a unit."""

import re
from typing import Annotated, Any

import msgspec

Probability = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SIZES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}


class Seconds(float):
    """A duration written as `90s`, `10m`, `24h` or `7d`."""


class Share(float):
    """A share of traffic written as `5%`, or as a number from 0 to 1."""


class Bytes(int):
    """A size written as `500kB`, `20MB` or `1.5GB`, in powers of 1000."""


class SecondsOrEver(Seconds):
    """A duration; 0, written as an empty text, is for ever."""


class BytesOrAll(Bytes):
    """A size; 0, written as an empty text, is without limit."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; an unknown key is an error."""


def read_unit(kind: type, value: Any) -> Any:
    """The number that a value of the file stands for; ValueError, which says how to write it, for another."""
    if value == "" and kind in (SecondsOrEver, BytesOrAll):
        return kind(0)
    if issubclass(kind, Seconds):
        return kind(_read_seconds(value))
    return kind(_read_bytes(value)) if issubclass(kind, Bytes) else _read_share(value)


def write_unit(value: Any) -> str:
    """The number in the notation of the file."""
    if value == 0 and isinstance(value, SecondsOrEver | BytesOrAll):
        return ""
    if isinstance(value, Share):
        return f"{value * 100:.10g}%"
    if isinstance(value, Bytes):
        size = next(name for name in reversed(_SIZES) if value % _SIZES[name] == 0 or name == "B")
        return f"{value // _SIZES[size]}{size}"
    unit = next(name for name in ("d", "h", "m", "s", "ms") if value % _UNITS[name] == 0 or name == "ms")
    return f"{value / _UNITS[unit]:.10g}{unit}"


def _read_seconds(value: Any) -> Seconds:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if not match or float(match[1]) == 0:
        raise ValueError(f"{value!r} is not a duration like `90s`, `10m`, `24h` or `7d`")
    return Seconds(float(match[1]) * _UNITS[match[2]])


def _read_bytes(value: Any) -> Bytes:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|kB|MB|GB)", value) if isinstance(value, str) else None
    if not match or float(match[1]) == 0:
        raise ValueError(f"{value!r} is not a size like `500kB`, `20MB` or `1.5GB`")
    return Bytes(round(float(match[1]) * _SIZES[match[2]]))


def _read_share(value: Any) -> Share:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else value
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise ValueError(f"{value!r} is not a share like `5%`, above 0 and at most 100%")
    return Share(share)
