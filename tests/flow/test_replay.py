"""Held-out rows as traffic."""

import json
from pathlib import Path

import pytest

from tidegate.errors import UnavailableError, UsageError
from tidegate.flow.replay import SHIFTS, Traffic, prepare, replay
from tidegate.project import load_config


def rows_of(project: Path, **options: str) -> list[dict[str, float]]:
    return [json.loads(one.body)["row"] for one in prepare(load_config(project), project, **options)]


def test_every_heldout_row_is_a_request_by_column_without_id_and_label(project: Path) -> None:
    exchanges = prepare(load_config(project), project)
    assert len(exchanges) == 400
    assert set(json.loads(exchanges[0].body)["row"]) == {"x0", "x1"}
    assert [one.truth for one in exchanges[:3]] == ["0", "1", "0"]


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_moves_the_rows_within_their_range(project: Path, shift: str) -> None:
    plain, moved = rows_of(project), rows_of(project, shift=shift)
    assert plain != moved
    low, high = min(row["x0"] for row in plain), max(row["x0"] for row in plain)
    assert all(low - 1e-9 <= row["x0"] <= high + 1e-9 for row in moved)


def test_brighter_is_up_and_darker_is_down(project: Path) -> None:
    def mean(rows: list[dict[str, float]]) -> float:
        return sum(row["x1"] for row in rows) / len(rows)

    dark, plain, bright = (
        mean(rows_of(project, **options)) for options in ({"shift": "darker"}, {}, {"shift": "brighter"})
    )
    assert dark < plain < bright


def test_without_a_service_it_says_how_to_start_one(project: Path) -> None:
    settings = project / "tidegate.toml"
    settings.write_text(settings.read_text() + '\n[serve]\naddress = "127.0.0.1:1"\n')
    with pytest.raises(UnavailableError, match="nothing answers here"):
        replay(project, Traffic(requests=1))


def test_without_the_truth_there_is_nothing_to_label(project: Path) -> None:
    settings = project / "tidegate.toml"
    settings.write_text(settings.read_text() + '\n[data]\nlabel = "answer"\n')
    with pytest.raises(UsageError, match="no column `answer`"):
        prepare(load_config(project), project)
