"""Where a project begins, and where it keeps its state."""

from pathlib import Path

import pytest

from tidegate.errors import NotFoundError
from tidegate.store.layout import Layout, find_root, standing


def test_all_state_lies_below_one_ignored_folder() -> None:
    layout = Layout(Path("project"))
    assert layout.state == Path("project/.tidegate")
    kept = [layout.ledger, layout.log, layout.bundles, layout.keys, layout.run]
    assert [str(path.relative_to(layout.state)) for path in kept] == [
        "ledger.db",
        "log",
        "bundles",
        "keys",
        "run",
    ]


def test_naming_a_path_makes_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.ledger.parent == layout.state
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mark", [".dvc/config", "tidegate.toml", "dvc.yaml"])
@pytest.mark.parametrize("below", ["", "src", "src/deep/er"])
def test_a_mark_here_or_above_is_the_root(tmp_path: Path, mark: str, below: str) -> None:
    (tmp_path / mark).parent.mkdir(exist_ok=True)
    (tmp_path / mark).touch()
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    assert find_root(tmp_path / below) == tmp_path.resolve()
    assert standing(tmp_path.resolve(), tmp_path / below) == below


def test_a_pipeline_in_a_subdirectory_belongs_to_the_repository_around_it(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "dvc.yaml").touch()
    assert find_root(tmp_path / "sub") == tmp_path.resolve()


def test_the_nearest_project_wins(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    (inner / "src").mkdir(parents=True)
    (tmp_path / "tidegate.toml").touch()
    (inner / ".dvc").mkdir()
    assert find_root(inner / "src") == inner.resolve()


def test_without_a_start_the_search_begins_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    assert find_root() == find_root(Path("..")) == tmp_path.resolve()


def test_a_link_is_followed_to_where_the_project_really_is(tmp_path: Path) -> None:
    (tmp_path / "real" / "src").mkdir(parents=True)
    (tmp_path / "real" / "dvc.yaml").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "src")
    assert find_root(tmp_path / "link") == (tmp_path / "real").resolve()


def test_without_a_project_the_hint_is_to_begin_one(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(NotFoundError) as caught:
        find_root(tmp_path)
    assert str(caught.value) == f"{tmp_path.resolve()}: no project here or above"
    assert caught.value.hint == "tidegate init"
