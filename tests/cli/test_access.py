"""`tidegate access`: a token is shown once, its digest is kept for the owner's eyes."""

import json
import stat

import pytest
from click.testing import CliRunner

from tidegate.cli.access import command
from tidegate.store.access import read_keys
from tidegate.store.layout import Layout


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(*words)`: exit code and output in a project of its own."""
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "small"\n')
    monkeypatch.chdir(tmp_path)

    def call(*words: str):
        return CliRunner().invoke(command, words)

    return call


def test_a_key_is_made_listed_and_revoked(run, tmp_path) -> None:
    made = json.loads(
        run("add", "app", "--role", "predict", "--role", "label", "--rate", "5", "--json").output
    )
    assert made["token"].startswith("tg_")
    assert (made["roles"], made["rate"]) == (["predict", "label"], 5)
    path = Layout(tmp_path).access
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made["token"] not in path.read_text()
    listed = run("ls").output
    assert "app" in listed and "predict, label" in listed and made["token"] not in listed
    assert run("revoke", "app").output == "key app is revoked\n"
    assert read_keys(path) == ()


def test_a_name_is_taken_once(run) -> None:
    run("add", "app")
    assert "there is a key `app`" in str(run("add", "app").exception)


def test_an_unknown_key_cannot_be_revoked(run) -> None:
    assert "no key `app`" in str(run("revoke", "app").exception)
