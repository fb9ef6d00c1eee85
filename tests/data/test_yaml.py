import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML, YAMLError

from tidegate.data.statcache import StatCache
from tidegate.data.yaml import is_plain_text, locate, parse_yaml, read_document
from tidegate.errors import NotFoundError, UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("", None),
        ("1e-3", 0.001),
        ("014", 14),
        ("0o14", 12),
        ("-0x1f", -31),
        ("1_000", 1000),
        ("1:30", "1:30"),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("2024-01-02", datetime.date(2024, 1, 2)),
        ("'12'", "12"),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
        ("{<<: {a: 1}, b: 2}", {"a": 1, "b": 2}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    assert parse_yaml(text, "f") == value


@given(st.text("0123456789abcdefxo+-._:eEyntruflsNYT~", min_size=1, max_size=8))
def test_scalars_read_as_the_parser_of_dvc_reads_them(text):
    try:
        wanted = YAML(typ="safe").load(f"k: {text}")
    except (YAMLError, ValueError):
        return
    try:
        found = parse_yaml(f"k: {text}", "f")
    except UsageError:
        return
    assert repr(found) == repr(wanted)
    if is_plain_text(text):
        assert found == {"k": text} or ":" in text or text.startswith(("-", ".", "~"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1\n", "f:2:1"),
        ("a: 1\na: 2\n", "f:2:1"),
        ("a:\n\tb: 1\n", "f:2:1"),
        ("? [a]\n: 1\n", "f:1:3"),
        ("\x07", "f"),
    ],
)
def test_errors_name_line_and_column(text, place):
    with pytest.raises(UsageError) as error:
        parse_yaml(text, "f")
    assert error.value.where == place


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), "f:1:1"),
        (("a",), "f:1:1"),
        (("a", 1), "f:3:3"),
        (("a", 1, "b"), "f:3:3"),
        (("a", 9), "f:1:1"),
        (("z",), "f:1:1"),
    ],
)
def test_a_path_of_keys_has_a_place_in_the_text(path, place):
    assert locate("a:\n- x\n- b: 1\n", path, "f") == place


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("p.yaml", "a: 1", {"a": 1}),
        ("p.json", '{"a": 1}', {"a": 1}),
        ("p.toml", "a = 1", {"a": 1}),
        ("p", "a: 1", {"a": 1}),
    ],
)
def test_the_suffix_chooses_the_format(tmp_path, name, text, value):
    (tmp_path / name).write_text(text)
    assert read_document(tmp_path / name, name, StatCache(tmp_path / "s.json")) == value


@pytest.mark.parametrize(
    ("name", "data", "where"),
    [
        ("p.json", b'{"a": }', "p.json:1:7"),
        ("p.toml", b"a = \n", "p.toml:1:5"),
        ("p.yaml", b"\xff", "p.yaml"),
        ("p.py", b"a = (", "p.py:1:5"),
    ],
)
def test_every_format_says_where_it_is_broken(tmp_path, name, data, where):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError) as error:
        read_document(tmp_path / name, name, StatCache(tmp_path / "s.json"))
    assert error.value.where == where


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        read_document(tmp_path / "p", "p", StatCache(tmp_path / "s.json"))


def test_values_that_share_a_list_share_it_each_time(tmp_path):
    (tmp_path / "p.yaml").write_text("x: &one [1]\ny: *one\n")
    for _ in range(2):
        value = read_document(tmp_path / "p.yaml", "p.yaml", StatCache(tmp_path / "stat.json"))
        assert value["x"] is value["y"]
