from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.config import RemoteConfig, load_dvc_config
from tidegate.data.config_edit import (
    ConfigFile,
    add_remote,
    modify_remote,
    read_level,
    remove_remote,
    set_default_remote,
    set_option,
    unset_option,
)
from tidegate.data.ini import quote, read_ini, set_entry, unset_entry
from tidegate.errors import ConflictError, NotFoundError, TidegateError, UsageError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    (tmp_path / "r" / ".dvc").mkdir(parents=True)
    return tmp_path / "r"


@pytest.fixture
def file(root):
    return ConfigFile(root, root)


def write(root, text, level="repo"):
    places = {"repo": root / ".dvc" / "config", "local": root / ".dvc" / "config.local"}
    path = places.get(level, root.parent / level / "config")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def text(root, name="config"):
    return (root / ".dvc" / name).read_text()


def test_without_a_file_everything_has_its_default(root):
    config = load_dvc_config(root)
    assert config.core.remote is None
    assert config.cache == (root / ".dvc" / "cache", ("reflink", "copy"), False, False, True)
    assert config.parsing == ("store_true", "nargs")
    assert not config.remotes


def test_each_level_shadows_the_one_before(root):
    for number, level in enumerate(("system", "global", "repo", "local")):
        write(root, f"[core]\n    remote = {level}\n[cache]\n    type = copy\n", level)
        assert load_dvc_config(root).core.remote == level
        write(root, f"['remote \"r\"']\n    url = /x{number}\n    jobs = {number + 1}\n", level)
    assert load_dvc_config(root).remotes["r"] == RemoteConfig("r", "/x3", {"jobs": "4"})


def test_one_level_may_complete_what_another_says_of_a_remote(root):
    write(root, "['remote \"r\"']\n    url = s3://b\n")
    write(root, "['remote \"R\"']\n    Profile = me\n", "local")
    assert load_dvc_config(root).remotes["r"] == RemoteConfig("r", "s3://b", {"profile": "me"})


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("../store", "{root}/store"),
        ("sub", "{root}/.dvc/sub"),
        ("/abs/x", "/abs/x"),
        ("~/x", "{home}/x"),
        ("s3://b/p", "s3://b/p"),
        ("remote://other/x", "remote://other/x"),
    ],
)
def test_paths_are_seen_from_the_config_file(root, written, resolved):
    write(root, f"['remote \"r\"']\n    url = {written}\n['remote \"other\"']\n    url = /o\n")
    assert load_dvc_config(root).remotes["r"].url == resolved.format(root=root, home=Path.home())


def test_the_cache_is_configured(root):
    write(root, '[cache]\ndir = ../../cache\ntype = "hardlink, copy"\nshared = group\nverify = True\n')
    assert load_dvc_config(root).cache[:4] == (root.parent / "cache", ("hardlink", "copy"), True, True)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[core]\n\n    remotte = x\n", r"^\.dvc/config:3: unknown key `remotte`, did you mean `remote`"),
        ("[corre]\n", r"^\.dvc/config:1: unknown section `corre`, did you mean `core`"),
        ("[core]\n    autostage = yes\n", r"^\.dvc/config:2: `yes` found, expected true or false$"),
        ("[core]\n    checksum_jobs = 0\n", "whole number from 1"),
        ("[cache]\n    type = softlink\n", "a list of reflink, hardlink, symlink, copy"),
        ("[cache]\n    shared = all\n", "one of group"),
        ("[core]\n    a\n", "expected `key = value`"),
        ("a = b\n", "expected a `\\[section\\]` above"),
        ("[core]\n    remote = a\n    remote = b\n", "config:3: `remote` stands here a second time"),
        ("[core]\n[core]\n", "config:2: `core` stands here a second time"),
        ('[core]\n    remote = "a\n', "unbalanced quotes"),
        ("['remote \"r\"']\n    jobs = 2\n", "config:2: remote `r` has no `url`"),
        ("['remote \"r\"']\n    url = s4://b\n", "config:2: unknown scheme `s4://`, expected one of s3, gs"),
        ("['remote \"r\"']\n    url = s3://b\n    keyfile = k\n", "config:3: unknown key `keyfile`"),
        (
            "['remote \"r\"']\n    url = ssh://h/p\n    port = x\n",
            "config:3: `x` found, expected a whole number",
        ),
    ],
)
def test_what_dvc_refuses_is_an_error_with_its_line(root, written, said):
    write(root, written)
    with pytest.raises(UsageError, match=said):
        load_dvc_config(root)


def test_a_config_that_is_no_text_is_an_error(root):
    (root / ".dvc" / "config").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_dvc_config(root)


def test_no_secret_is_shown(root):
    write(root, "['remote \"r\"']\n    url = s3://b\n    secret_access_key = hidden\n    region = eu\n")
    shown = repr(load_dvc_config(root))
    assert "hidden" not in shown
    assert "eu" in shown


def test_remotes_are_edited_line_by_line(root, file):
    write(root, "# mine\n[core]\n    autostage = true # why\n")
    add_remote(file, "Store", "../store")
    add_remote(file, "other", "s3://b")
    modify_remote(file, "other", "region", value="eu")
    set_default_remote(file, "store")
    modify_remote(file._replace(level="local"), "other", "secret_access_key", value="x,y")
    assert text(root) == (
        "# mine\n[core]\n    autostage = true # why\n    remote = store\n['remote \"store\"']\n"
        "    url = ../../store\n['remote \"other\"']\n    url = s3://b\n    region = eu\n"
    )
    assert text(root, "config.local") == '[\'remote "other"\']\n    secret_access_key = "x,y"\n'
    assert read_level(file)["core"] == {"autostage": "true", "remote": "store"}


def test_what_was_added_can_be_taken_away(root, file):
    add_remote(file, "a", "/a")
    add_remote(file, "b", "/b")
    set_default_remote(file, "a")
    set_default_remote(file._replace(level="local"), "a")
    modify_remote(file, "a", "jobs", value="3")
    modify_remote(file, "a", "jobs", value=None)
    remove_remote(file, "A")
    assert text(root) == "['remote \"b\"']\n    url = /b\n"
    assert text(root, "config.local") == "\n"
    set_default_remote(file, "b")
    set_default_remote(file, None)
    assert text(root) == "['remote \"b\"']\n    url = /b\n"


def test_options_are_set_and_unset_by_name(root, file):
    set_option(file, "cache.type", "hardlink,copy")
    set_option(file, "cache.dir", "big")
    assert text(root) == '[cache]\n    type = "hardlink,copy"\n    dir = ../big\n'
    set_option(file, "cache.type", "copy")
    unset_option(file, "cache.dir")
    assert text(root) == "[cache]\n    type = copy\n"
    unset_option(file, "cache.type")
    assert text(root) == "\n"


@pytest.mark.parametrize(
    ("edit", "kind", "said"),
    [
        (lambda file: add_remote(file, "r", "/x"), ConflictError, "exists already"),
        (lambda file: modify_remote(file, "rr", "url", value="/x"), NotFoundError, "did you mean `r`"),
        (lambda file: modify_remote(file, "r", "regoin", value="x"), UsageError, "unknown key `regoin`"),
        (lambda file: modify_remote(file, "r", "jobs", value="x"), UsageError, "whole number"),
        (lambda file: modify_remote(file, "r", "url", value=None), UsageError, "has no|no `url`|not"),
        (lambda file: remove_remote(file, "x"), NotFoundError, "not in the repo config"),
        (lambda file: set_default_remote(file, "x"), NotFoundError, "not in the repo config"),
        (lambda file: set_option(file, "core", "x"), UsageError, "expected `section.key`"),
        (lambda file: set_option(file, "core.autostage", "2"), UsageError, "true or false"),
        (lambda file: unset_option(file, "core.remote"), NotFoundError, "not set"),
        (lambda file: set_option(file, "exp.git_remote", "a\nb"), UsageError, "one line"),
    ],
)
def test_a_wrong_edit_changes_nothing(root, file, edit, kind, said):
    add_remote(file, "r", "/r")
    modify_remote(file, "r", "jobs", value="2")
    before = text(root)
    with pytest.raises(kind, match=said):
        edit(file)
    assert text(root) == before


def test_force_starts_a_remote_anew(root, file):
    add_remote(file, "r", "s3://b")
    modify_remote(file, "r", "region", value="eu")
    add_remote(file, "r", "/x", force=True)
    assert text(root) == "['remote \"r\"']\n    url = /x\n"


def test_line_ends_and_comments_of_others_stay():
    before = "; no\n".replace("; no", "# no") + "[core] # here\r\n  remote = 'a' # b\r\n\r\n# end\r\n"
    assert set_entry(before, "core", "remote", value="c") == (
        "# no\r\n[core] # here\r\n    remote = c\r\n\r\n# end\r\n"
    )
    assert unset_entry(before, "core", "absent") == before
    assert unset_entry(before, "absent", "absent") == before


@given(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), min_size=1
    )
)
def test_every_value_that_can_be_written_is_read_back(value):
    try:
        written = f"[s]\n    k = {quote(value, may_triple=True)}\n"
    except TidegateError:
        return
    assert read_ini(written, "x")[0].entries[0].value == value
