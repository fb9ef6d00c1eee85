"""The policy file: every default survives show and read; what is wrong is named by line and key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.cli.config import render
from tidegate.errors import NotFoundError, UsageError
from tidegate.project import Seconds, Share, load_config, parse_config, settings

MINIMAL = '[project]\nname = "digits"\n'


def test_every_default_survives_show_and_read():
    config = parse_config(MINIMAL)
    assert parse_config(render(settings(config))) == config


@given(
    st.lists(st.integers(1, 999), min_size=1, max_size=4, unique=True).map(sorted),
    st.sampled_from(["90s", "250ms", "10m", "36h", "7d", "1.5h"]),
    st.sampled_from([True, False]),
)
def test_written_settings_survive_show_and_read(shares, duration, require):
    steps = ", ".join(f'"{share / 10}%"' for share in shares)
    text = (
        f'{MINIMAL}[rollout]\nsteps = [{steps}]\nwindow = "{duration}"\n'
        f"[[rollout.guard]]\nmetric = 'wrong_rate'\n[[gate.rule]]\nkind = 'slices'\nby = ['label']\n"
        f"[sign]\nrequire = {str(require).lower()}\n"
    )
    config = parse_config(text)
    assert parse_config(render(settings(config))) == config


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("250ms", 0.25), ("10m", 600), ("24h", 86_400), ("7d", 604_800)]
)
def test_durations_have_units(written, seconds):
    config = parse_config(f'{MINIMAL}[monitor]\nwindow = "{written}"\n')
    assert config.monitor.window == Seconds(seconds)


def test_a_share_is_a_percentage_or_a_number():
    config = parse_config(f'{MINIMAL}[rollout]\nsteps = ["5%", 0.5]\n')
    assert config.rollout.steps == (Share(0.05), Share(0.5))


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("[project\n", "tidegate.toml", "line 1, column 9"),
        (f"{MINIMAL}[gate]\nsubmisions = 3\n", "tidegate.toml:4", "did you mean `submissions`?"),
        (f"{MINIMAL}[gats]\n", "tidegate.toml:3", "did you mean `gate`?"),
        (f"{MINIMAL}[gate]\nerror = 2\n", "tidegate.toml:4", "gate.error"),
        (f"{MINIMAL}[[gate.rule]]\nkind = 'best'\n", "tidegate.toml", "gate.rule"),
        (f"{MINIMAL}[monitor]\nwindow = '1 day'\n", "tidegate.toml:4", "is not a duration like `90s`"),
        (f"{MINIMAL}[rollout]\nsteps = ['150%']\n", "tidegate.toml:4", "is not a share like `5%`"),
        (f"{MINIMAL}[rollout]\nsteps = ['5%', '5%']\n", "tidegate.toml:3", "must rise and stay below 100%"),
        (f"{MINIMAL}[rollout]\nsteps = ['5%', '100%']\n", "tidegate.toml:3", "must rise and stay below 100%"),
        (f"{MINIMAL}[rollout]\nsteps = []\n", "tidegate.toml:4", "length >= 1"),
        (f"{MINIMAL}[rollout]\nguard = []\n", "tidegate.toml:4", "length >= 1"),
        ("[gate]\n", "tidegate.toml", "project: missing"),
        ('[project]\nname = "a/b"\n', "tidegate.toml:2", "project.name"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_key(text, where, message):
    with pytest.raises(UsageError) as caught:
        parse_config(text)
    assert caught.value.where.startswith(where)
    assert message in str(caught.value)


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        load_config(tmp_path)
    assert caught.value.hint == "tidegate init"


def test_two_guards_for_one_metric_are_refused():
    guard = "[[rollout.guard]]\nmetric = 'wrong_rate'\n"
    with pytest.raises(UsageError, match="two guards for `wrong_rate`"):
        parse_config(f"{MINIMAL}[rollout]\n{guard}{guard}")
