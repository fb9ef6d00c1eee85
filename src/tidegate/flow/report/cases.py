"""Single rows for a person to look at: their ids, truth, answers and pictures."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tidegate.flow.pictures import Picture, pictures, png
from tidegate.flow.suspects import by_class
from tidegate.gate.checks import Evidence
from tidegate.gate.read import name_rows
from tidegate.gate.report.differences import Picked
from tidegate.gate.report.record import Rows as Group
from tidegate.gate.report.record import Shown
from tidegate.gate.rows import Rows, take
from tidegate.project import Config

SUSPECTS = "suspects"
LARGEST_PICTURE = 100_000
IMAGES = {
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".bmp": "bmp",
    ".svg": "svg+xml",
}  # fmt: skip


def show_rows(
    config: Config, root: Path, evidence: Evidence, *, groups: Mapping[str, Picked]
) -> dict[str, Group]:
    """Each group of rows as a person sees it, with pictures where the rows are images."""
    places = [int(place) for one in groups.values() for place in evidence.candidate.place[one.first]]
    ids = dict(zip(places, name_rows(root / config.data.evaluation, config.data, places), strict=True))
    images = {name: url_of(found) for name, found in pictures(root, ids.values()).items()}
    shown = {}
    for name, one in groups.items():
        rows = take(evidence.candidate, one.first)
        live = None if evidence.baseline is None else take(evidence.baseline, one.first)
        cases = _suspects(rows) if name == SUSPECTS else _answers(rows, live)
        names = [ids[int(place)] for place in rows.place]
        shown[name] = Group(
            one.total, tuple(_named(*pair, images) for pair in zip(cases, names, strict=True))
        )
    return shown


def has_class_scores(rows: Rows) -> bool:
    """Whether each class has its score, so that suspects can be looked for."""
    return bool(rows.classes) and rows.scores is not None and (rows.scores.ndim > 1 or len(rows.classes) == 2)


def url_of(picture: Picture) -> str:
    """The picture as a data URL; empty for a file too large to be carried along."""
    if picture.file is None:
        return _url("png", png(picture))
    kind = IMAGES.get(picture.file.suffix.lower(), "")
    is_small = picture.file.stat().st_size <= LARGEST_PICTURE
    return _url(kind, picture.file.read_bytes()) if kind and is_small else ""


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _named(case: Shown, name: str, images: Mapping[str, str]) -> Shown:
    return Shown(name, case.truth, case.candidate, case.live, case.confidence, images.get(name, ""))


def _answers(rows: Rows, live: Rows | None) -> list[Shown]:
    truth, said = _texts(rows, rows.truth), _texts(rows, rows.prediction)
    before = [""] * len(said) if live is None else _texts(live, live.prediction)
    parts = zip(truth, said, before, _confidences(rows), strict=True)
    return [Shown("", *part) for part in parts]


def _suspects(rows: Rows) -> list[Shown]:
    """The label given beside the one that the scores suggest."""
    scores = by_class(rows)
    given = scores[np.arange(len(scores)), rows.truth].tolist()
    suggested = _texts(rows, scores.argmax(axis=1))
    parts = zip(_texts(rows, rows.truth), suggested, given, strict=True)
    return [Shown("", truth, label, confidence=score) for truth, label, score in parts]


def _texts(rows: Rows, values: np.ndarray) -> list[str]:
    return [rows.classes[value] if rows.classes else f"{value:.6g}" for value in values.tolist()]


def _confidences(rows: Rows) -> Sequence[float | None]:
    """The score of each answer, as far as it is a probability."""
    scores = rows.scores
    if scores is None or not rows.classes:
        return [None] * len(rows.prediction)
    if scores.ndim > 1:
        found = scores[np.arange(len(scores)), rows.prediction]
    elif len(rows.classes) == 2:
        found = np.where(rows.prediction == rows.positive, scores, 1 - scores)
    else:
        found = scores
    return [value if 0 <= value <= 1 else None for value in found.tolist()]
