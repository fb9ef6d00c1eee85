"""Sentences with `code` in them: how every word from outside gets into a report, whatever it holds.

A sentence is plain text in which backticks mark what is quoted. Each form of the report takes it apart by `parts`
and escapes each part by its own rules, so that no text can break out of its place.
"""

import re
from collections.abc import Iterator

JOINERS = "\u200c\u200d"
LONGEST = 600
REFERENCE = re.compile(r"(?<=[@#!~%$&^])(?=\w)|(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?<=\bGH)(?=-\d)", re.IGNORECASE)
SPECIAL = re.compile(r"[\\`*{}<>#~|$&!]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|\[(?=\[)|^\[")
OPENING = re.compile(r"^(\d{0,9})([-+=.)/])(?![\d.])")


def clean(text: str) -> str:
    """One line without what no reader should meet: control characters, halves of characters, turned directions."""
    line = " ".join(text[: LONGEST * 2].split())
    seen = line if line.isprintable() else "".join(char if _is_seen(char) else "\ufffd" for char in line)
    return seen if len(seen) <= LONGEST else f"{seen[: LONGEST - 1]}…"


def quote(text: str) -> str:
    """A name from outside as a quoted part of a sentence."""
    return f"`{clean(text).replace('`', chr(39))}`" if text.strip() else "` `"


def parts(sentence: str) -> Iterator[tuple[str, bool]]:
    """The parts of a sentence, each with whether it is quoted; a backtick without its pair is a plain one."""
    pieces = clean(sentence).split("`")
    if len(pieces) % 2 == 0:
        pieces[-2:] = ["`".join(pieces[-2:])]
    for index, piece in enumerate(pieces):
        if piece or index % 2:
            yield piece or " ", index % 2 == 1


def markdown(sentence: str) -> str:
    """A sentence as Markdown that names nobody, links nowhere and stays within its line."""
    return OPENING.sub(r"\1\\\2", _inline(sentence))


def cell(sentence: str) -> str:
    """A sentence as a cell of a Markdown table; a backslash before a bar would undo the bar's own."""
    return re.sub(r"\\+(?=\|)", "", _inline(sentence)).replace("|", "\\|")


def _inline(sentence: str) -> str:
    return "".join(_code(text) if is_code else _prose(text) for text, is_code in parts(sentence))


def _code(text: str) -> str:
    return f"` {text} `" if text.startswith(" ") and text.strip() else f"`{text}`"


def _prose(text: str) -> str:
    return SPECIAL.sub(r"\\\g<0>", REFERENCE.sub("\u200b", text))


def _is_seen(char: str) -> bool:
    return char in JOINERS or char.isprintable()
