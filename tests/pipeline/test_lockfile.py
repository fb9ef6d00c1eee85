from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tidegate.data.emit import render_yaml
from tidegate.data.hash import Hashed
from tidegate.data.yaml import parse_yaml
from tidegate.errors import UsageError
from tidegate.pipeline.lockfile import Entry, as_plain, from_plain, parse_lock, replace_entry

WRITTEN_BY_DVC = """\
schema: '2.0'
stages:
  a:
    cmd: mkdir -p d/sub && echo 1 > d/x && echo 2 > d/sub/y && touch 
      "we[ird].txt" && echo "{}" > m.json
    deps:
    - path: p.txt
      hash: md5
      md5: 9d7bf075372908f55e2d945c39e0a613
      size: 2
    params:
      params.yaml:
        lr: 0.001
        train.x:
        - 1
        - a
        - 
        - b: 1.0
      other.toml:
        k: 3
    outs:
    - path: d
      hash: md5
      md5: dafe5b4f934665fba7722eb4d182f64e.dir
      size: 4
      nfiles: 2
    - path: run.sh
      hash: md5
      md5: d41d8cd98f00b204e9800998ecf8427e
      size: 0
      isexec: true
  '12':
    cmd: 'true'
    outs:
    - path: o
      hash: md5
      md5: d41d8cd98f00b204e9800998ecf8427e
      size: 0
"""  # noqa: W291 -- DVC leaves the space at the end of a folded line

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-@.", min_size=1, max_size=12)
md5s = st.text("0123456789abcdef", min_size=32, max_size=32)
kinds = st.sampled_from(["md5", "md5-dos2unix", "etag"])
hashes = st.builds(Hashed, md5s, st.integers(0, 10**12), st.none() | st.integers(0, 99), st.booleans(), kinds)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars, lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(names, deeper, max_size=3)
)
entries = st.builds(
    Entry,
    texts | st.lists(texts, min_size=1, max_size=3),
    st.dictionaries(names, hashes, max_size=3),
    st.dictionaries(names, st.dictionaries(names, values, min_size=1, max_size=3), max_size=2),
    st.dictionaries(names, hashes, max_size=3),
)


def by_ruamel(document) -> str:
    """What DVC's own writer makes of a document."""
    yaml, stream = YAML(), StringIO()
    yaml.default_flow_style = False
    yaml.dump(document, stream)
    return stream.getvalue()


def read(tmp_path, text):
    return parse_lock(parse_yaml(text, "dvc.lock"), "dvc.lock")


def test_writing_what_was_read_gives_the_bytes_of_dvc(tmp_path):
    text = ""
    for name, entry in read(tmp_path, WRITTEN_BY_DVC).items():
        text = replace_entry(text, name, entry)
    assert text == WRITTEN_BY_DVC


def test_other_stages_keep_their_bytes_comments_included(tmp_path):
    text = WRITTEN_BY_DVC.replace("    cmd: 'true'\n", '    cmd: "true"  # kept\n')
    entry = read(tmp_path, text)["a"]
    changed = replace_entry(text, "a", entry._replace(cmd="short"))
    assert changed.partition("  '12':")[2] == text.partition("  '12':")[2]
    assert "  a:\n    cmd: short\n" in changed


@given(entries)
def test_an_entry_survives_its_plain_form(entry):
    assert from_plain(as_plain(entry)) == entry


@given(entries)
def test_an_entry_alone_is_written_as_dvc_writes_it(entry):
    plain = as_plain(entry)
    assert render_yaml(plain) == by_ruamel(plain)


@given(st.dictionaries(names, entries, min_size=1, max_size=3))
def test_a_lock_grown_stage_by_stage_is_the_one_dvc_writes(stages):
    text = ""
    for name, entry in stages.items():
        text = replace_entry(text, name, entry)
    plain = {name: as_plain(entry) for name, entry in stages.items()}
    assert text == by_ruamel(YAML().load("schema: '2.0'\n") | {"stages": plain})
    for name, entry in stages.items():
        assert replace_entry(text, name, entry) == text


def test_a_value_that_appears_twice_becomes_an_alias_as_in_dvc():
    shared = [1, 2]
    entry = Entry("x", {}, {"params.yaml": {"train": {"layers": shared}, "train.layers": shared}}, {})
    assert "&id001" in replace_entry(WRITTEN_BY_DVC, "b", entry)


@pytest.mark.parametrize("text", ["", "schema: '2.0'\n", "schema: '2.0'\nstages:\n"])
def test_a_lock_cut_short_counts_as_empty(tmp_path, text):
    assert read(tmp_path, text) == {}


@pytest.mark.parametrize(
    "text", ["- 1\n", "schema: '1.0'\n", "schema: '2.0'\nstages:\n  a: 1\n", "<<<<<<< HEAD\n", "a: [\n"]
)
def test_anything_else_is_refused_by_name(tmp_path, text):
    with pytest.raises(UsageError, match=r"dvc\.lock"):
        read(tmp_path, text)
