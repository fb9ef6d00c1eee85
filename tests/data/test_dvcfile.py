import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.dvcfile import (
    content_md5,
    parse_dvcfile,
    read_dvcfile,
    render_dvcfile,
    update_dvcfile,
    with_content_md5,
)
from tidegate.data.dvcrecord import UNKNOWN_SIZE, Content, DvcFile, Source, Tracked, as_plain
from tidegate.data.emit import dump_yaml
from tidegate.data.hash import Hashed
from tidegate.data.statcache import StatCache
from tidegate.errors import NotFoundError, UsageError

MD5 = "d8e8fca2dc0f896fd7cb4cb0031ba249"
FILE = Content(Hashed(MD5, 5))


def one(**fields) -> DvcFile:
    return DvcFile(outs=(Tracked(**{"path": "x", "content": FILE, **fields}),))


TABLE = [
    (one(), f"outs:\n- md5: {MD5}\n  size: 5\n  hash: md5\n  path: x\n"),
    (
        one(content=Content(Hashed(f"{MD5}.dir", 9, 2))),
        f"outs:\n- md5: {MD5}.dir\n  size: 9\n  nfiles: 2\n  hash: md5\n  path: x\n",
    ),
    (
        one(content=Content(Hashed(MD5, 0, isexec=True))),
        f"outs:\n- md5: {MD5}\n  size: 0\n  isexec: true\n  hash: md5\n  path: x\n",
    ),
    (
        one(content=Content(Hashed(MD5, 5, kind="md5-dos2unix"))),
        f"outs:\n- md5: {MD5}\n  size: 5\n  path: x\n",
    ),
    (
        one(content=Content(Hashed(MD5, UNKNOWN_SIZE, kind="md5-dos2unix"))),
        f"outs:\n- md5: {MD5}\n  path: x\n",
    ),
    (one(content=Content()), "outs:\n- hash: md5\n  path: x\n"),
    (one(content=Content(Hashed("", 7))), "outs:\n- size: 7\n  hash: md5\n  path: x\n"),
    (
        one(desc="it", type="csv", labels=("a", "b"), meta={"k": [1]}, cache=False, persist=True),
        f"outs:\n- md5: {MD5}\n  size: 5\n  hash: md5\n  path: x\n  desc: it\n  type: csv\n  labels:\n  - a\n"
        "  - b\n  meta:\n    k:\n    - 1\n  cache: false\n  persist: true\n",
    ),
    (
        one(remote="far", push=False, fs_config={"user": "me"}),
        f"outs:\n- md5: {MD5}\n  size: 5\n  hash: md5\n  path: x\n  fs_config:\n    user: me\n  remote: far\n"
        "  push: false\n",
    ),
    (
        one(content=Content(Hashed(MD5, 5), cloud={"r": {"etag": "e1", "version_id": "v1"}})),
        f"outs:\n- md5: {MD5}\n  size: 5\n  cloud:\n    r:\n      etag: e1\n      version_id: v1\n  hash: md5\n"
        "  path: x\n",
    ),
    (
        one(content=Content(files=({"relpath": "a", "md5": MD5},))),
        f"outs:\n- hash: md5\n  path: x\n  files:\n  - relpath: a\n    md5: {MD5}\n",
    ),
    (
        DvcFile(deps=(Source("s3://b/k", Content(Hashed("e-2", 5, kind="etag"), "v", {"md5": MD5})),)),
        f"deps:\n- etag: e-2\n  size: 5\n  version_id: v\n  md5: {MD5}\n  hash: md5\n  path: s3://b/k\n",
    ),
    (
        DvcFile(deps=(Source("hdfs://b/k", Content(Hashed("c00", 5, kind="checksum"))),), frozen=True),
        "frozen: true\ndeps:\n- checksum: c00\n  size: 5\n  hash: md5\n  path: hdfs://b/k\n",
    ),
    (
        DvcFile(
            deps=(Source("d", repo={"url": "../o", "rev_lock": "abc", "remote": {"url": "/r"}}),), md5=MD5
        ),
        f"md5: {MD5}\ndeps:\n- path: d\n  repo:\n    url: ../o\n    rev_lock: abc\n    remote:\n      url: /r\n",
    ),
    (
        DvcFile(
            deps=(Source("", db={"query": "select 1", "connection": "pg"}),), wdir="..", desc="d", meta=[1]
        ),
        "desc: d\nwdir: ..\ndeps:\n- db:\n    query: select 1\n    connection: pg\nmeta:\n- 1\n",
    ),
    (DvcFile(always_changed=True), "always_changed: true\n"),
]


@pytest.mark.parametrize(("record", "text"), TABLE)
def test_each_record_has_its_text_and_back(record: DvcFile, text: str):
    assert render_dvcfile(record) == text
    assert parse_dvcfile(text, "f") == record
    assert update_dvcfile(text, record) == text


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("", DvcFile()),
        ("outs:\ndeps:\nwdir:\nmd5:\n", DvcFile()),
        ("locked: true\n", DvcFile(frozen=True)),
        (f"deps:\n- {{md5: {MD5}, path: /abs}}\n", DvcFile(deps=(Source("/abs", Content(Hashed(MD5, -1))),))),
        ("outs:\n- {md5: 12345678, hash: md5, path: x}\n", one(content=Content(Hashed("12345678", -1)))),
        ("outs:\n- {md5: '', path: x}\n", one(content=Content())),
        (
            "deps:\n- {path: a, etag: null, md5: '123'}\n",
            DvcFile(deps=(Source("a", Content(Hashed("123", -1, kind="md5-dos2unix"))),)),
        ),
    ],
)
def test_what_older_programs_and_people_wrote_is_read(text: str, record: DvcFile):
    assert parse_dvcfile(text, "f") == record


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "f:1:1: `['a']` found, expected a mapping"),
        ("out:\n- path: x\n", "f:1:1: unknown key `out`, did you mean `outs`?"),
        ("outs:\n- md5: abc\n  size: 1\n  pth: x\n", "f:4:3: unknown key `pth`, did you mean `path`?"),
        ("outs:\n- path: x\n  metric: true\n", "f:3:3: unknown key `metric`, did you mean `meta`?"),
        ("outs:\n- md5: abc\n", "f:2:3: no `path` found, expected the path of a file or directory"),
        ("outs:\n- path: x\n  size: '1'\n", "f:3:3: `1` found, expected a whole number"),
        ("outs:\n- path: x\n  size: true\n", "f:3:3: `True` found, expected a whole number"),
        ("outs:\n- path: x\n  cache: 1\n", "f:3:3: `1` found, expected true or false"),
        ("outs:\n- path: x\n  desc:\n", "f:3:3: nothing found, expected text"),
        ("outs:\n- path: x\n  labels: [a, 1]\n", "f:3:15: `1` found, expected text"),
        ("outs:\n- path: x\n  files: [1]\n", "f:3:11: `1` found, expected a mapping"),
        ("outs: x\n", "f:1:1: `x` found, expected a list"),
        ("deps:\n- path: x\n  desc: d\n", "f:3:3: unknown key `desc`"),
        (
            "deps:\n- path: x\n  repo: {rev: main}\n",
            "f:3:3: no `url` found, expected the address of a repository",
        ),
        ("deps:\n- path: x\n  repo: {url: u, ref: main}\n", "f:3:18: unknown key `ref`, did you mean `rev`?"),
        ("deps:\n- db: {sql: x}\n", "f:2:8: unknown key `sql`"),
        ("cmd: make\n", "f:1:1: a `.dvc` file has no `cmd`"),
        ("a: [\n", "f:2:1: did not find expected node content, expected YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, message: str):
    with pytest.raises(UsageError) as caught:
        parse_dvcfile(text, "f")
    assert str(caught.value) == message


def test_a_file_is_parsed_once_per_change_and_named_when_wrong(tmp_path: Path):
    memory = StatCache(tmp_path / "memory.json")
    with pytest.raises(NotFoundError, match=r"^sub/x\.dvc: no such file"):
        read_dvcfile(tmp_path, "sub/x.dvc", memory)
    (tmp_path / "sub" / "y.dvc").mkdir(parents=True)
    with pytest.raises(NotFoundError, match=r"^sub/y\.dvc: a directory"):
        read_dvcfile(tmp_path, "sub/y.dvc", memory)
    (tmp_path / "sub" / "x.dvc").write_text(render_dvcfile(one()))
    assert read_dvcfile(tmp_path, "sub/x.dvc", memory) == one()
    (tmp_path / "sub" / "x.dvc").write_text("outs:\n- paht: x\n")
    with pytest.raises(UsageError, match=r"^sub/x\.dvc:2:3: unknown key `paht`"):
        read_dvcfile(tmp_path, "sub/x.dvc", memory)


def test_new_keys_of_an_entry_come_last_and_old_comments_stay():
    text = "# head\n" + render_dvcfile(one()).replace("size: 5", "size: 5  # small")
    changed = update_dvcfile(text, one(content=Content(Hashed("abc.dir", 9, 2)), desc="now a folder"))
    assert changed == (
        "# head\nouts:\n- md5: abc.dir\n  size: 9  # small\n  hash: md5\n  path: x\n"
        "  nfiles: 2\n  desc: now a folder\n"
    )


def test_an_update_of_our_own_rendering_needs_no_slow_parser(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tidegate.data.dvcfile.load_for_edit", None)
    new = one(content=Content(Hashed("0" * 31 + "a", 6)))
    assert update_dvcfile(render_dvcfile(one()), new) == render_dvcfile(new)


def test_the_md5_of_an_import_ignores_remarks_sizes_and_the_default_folder():
    record = DvcFile(one().outs, (Source("/d", FILE),), frozen=True)
    wanted = content_md5(as_plain(record))
    remarked = record._replace(
        desc="d", meta=1, frozen=False, wdir=".", outs=one(desc="d", labels=("l",)).outs
    )
    assert content_md5(as_plain(remarked)) == wanted
    assert content_md5({**as_plain(record), "wdir": "."}) == wanted
    assert with_content_md5(with_content_md5(record)) == record._replace(md5=wanted)
    other = record._replace(deps=(Source("/e", FILE),))
    assert content_md5(as_plain(other)) != wanted


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
CONTENTS = st.builds(
    Content,
    hashed=st.none()
    | st.builds(
        Hashed,
        md5=st.from_regex(r"[0-9a-f]{32}(\.dir)?", fullmatch=True),
        size=st.integers(0, 2**40),
        nfiles=st.none() | st.integers(0, 99),
        isexec=st.booleans(),
        kind=st.sampled_from(["md5", "etag", "checksum"]),
    ),
    version_id=st.just("") | WORDS,
    cloud=st.dictionaries(WORDS, st.dictionaries(st.just("etag"), WORDS), max_size=1),
    others=st.just({}),
    files=st.just(()),
)
OUTS = st.builds(
    Tracked,
    path=WORDS,
    content=CONTENTS,
    desc=st.just("") | WORDS,
    type=st.just("") | WORDS,
    labels=st.lists(WORDS, max_size=2).map(tuple),
    meta=st.none() | WORDS,
    cache=st.booleans(),
    persist=st.booleans(),
    remote=st.just("") | WORDS,
    push=st.booleans(),
    fs_config=st.just({}),
)
RECORDS = st.builds(
    DvcFile,
    outs=st.lists(OUTS, max_size=2).map(tuple),
    deps=st.lists(
        st.builds(
            Source, path=WORDS, content=CONTENTS, repo=st.just({}), db=st.just({}), fs_config=st.just({})
        ),
        max_size=2,
    ).map(tuple),
    md5=st.just("") | WORDS,
    wdir=st.sampled_from(["", "..", "a b"]),
    frozen=st.booleans(),
    always_changed=st.booleans(),
    desc=st.just("") | WORDS,
    meta=st.none() | WORDS,
)


@given(RECORDS)
def test_every_record_reads_back_from_its_text(record: DvcFile):
    text = render_dvcfile(record)
    assert parse_dvcfile(text, "f") == record
    plain = as_plain(record)
    assert text == dump_yaml(plain)
    assert json.loads(json.dumps(plain)) == plain


@given(RECORDS, RECORDS)
def test_every_update_reads_back(old: DvcFile, new: DvcFile):
    assert parse_dvcfile(update_dvcfile(render_dvcfile(old), new), "f") == new
