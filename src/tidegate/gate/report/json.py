"""The report as JSON: the record itself."""

import msgspec

from tidegate.gate.report.record import Report


def render_json(report: Report) -> str:
    """The record as JSON on one line; numbers that JSON has no words for are null."""
    return msgspec.json.encode(_sound(msgspec.to_builtins(report))).decode() + "\n"


def _sound(value: object) -> object:
    """The value with the halves of characters replaced that a file's name can hold and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sound(key): _sound(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sound(item) for item in value]
    return value
