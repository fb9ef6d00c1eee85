"""Public means documented: every command, option, key, event and route stands in the reference."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from tidegate.serve.openapi import describe

ROOT = Path(__file__).parents[1]
EVENT = re.compile(r"(run|ci|gate|budget|bundle|release|rollout|alert)\.[a-z_]*(ed|back|held)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
ABSOLUTE = re.compile(r"(?<![\w.:/*<>$-])/(?:root|home|work|Users|private)/")


def _load_generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tidegate_docs_generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generate = _load_generate()
LEAVES = {leaf.words: leaf.command for leaf in generate.leaves()}


def _tracked(pattern: str) -> list[Path]:
    """The repository's own files, committed or about to be."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def _reference(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["commands.md", "configuration.md", "events.md", "exit-codes.md", "http.md"])
def test_the_committed_reference_is_what_the_code_says(name: str) -> None:
    assert generate.render()[name] == _reference(name), "run `make docs`"


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_and_option_is_in_the_reference(words: str) -> None:
    text = _reference("commands.md")
    assert re.search(rf"^#+ {re.escape(words)}$", text, flags=re.MULTILINE)
    for param in LEAVES[words].params:
        assert all(name in text for name in (*param.opts, *param.secondary_opts) if name.startswith("-"))


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_prints_json_and_shows_an_example(words: str) -> None:
    command = LEAVES[words]
    assert "Example:" in (command.help or "")
    assert any("--json" in param.opts for param in command.params)


@pytest.mark.parametrize("words", LEAVES)
def test_every_option_says_what_it_does(words: str) -> None:
    for param in LEAVES[words].params:
        assert not isinstance(param, click.Option) or param.help, param.name


def test_every_key_of_the_configuration_has_a_meaning_and_a_place_in_the_reference() -> None:
    meanings = generate.load_words()["config"]
    paths = [generate._path(key) for key in generate.settings()]
    assert sorted(paths) == sorted(meanings)
    assert all(f"| `{path.rpartition('.')[2]}` |" in _reference("configuration.md") for path in paths)


def test_every_kind_of_event_in_the_code_is_documented_and_no_other() -> None:
    found = {
        node.value
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and EVENT.fullmatch(node.value)
    }
    assert found == set(generate.load_words()["event"])


@pytest.mark.parametrize("path", _tracked("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_resolves(path: Path) -> None:
    targets = [target for target in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not _resolves(path, target)] == []


def _resolves(page: Path, target: str) -> bool:
    """Whether the file is there, and in it the heading that is named."""
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    return file.exists() and (not anchor or anchor in _anchors(file.read_text(encoding="utf-8")))


def _anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme() -> None:
    known, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page in known or page.suffix != ".md":
            continue
        known.add(page)
        targets = [target.partition("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8"))]
        todo += [page.parent / target for target in targets if target and "://" not in target]
    assert [str(path) for path in _tracked("docs/*.md") if path.resolve() not in known] == []


def test_every_route_and_metric_is_in_the_reference_and_no_other() -> None:
    told = {f"{one.method.upper()} {one.path}" for one in describe({})}
    assert told == set(generate.load_words()["route"])
    assert all(f"| {name} |" in _reference("http.md") for name, *_ in generate.metrics())


def test_no_file_names_a_place_on_the_machine_it_was_written_on() -> None:
    texts = (".md", ".py", ".toml", ".yml", ".yaml", ".jinja", "Makefile", "run")
    files = [path for path in _tracked("*") if path.name.endswith(texts)]
    named = [str(path) for path in files if ABSOLUTE.search(path.read_text(encoding="utf-8"))]
    assert named == []
