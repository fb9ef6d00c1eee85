"""What a stage wrote is held to the contract: refused it is not recorded, flagged it is told."""

from pathlib import Path

import pytest

from tidegate.errors import UsageError
from tidegate.flow.check import RefusedError, read_contract
from tidegate.flow.imports import Importing, import_url
from tidegate.flow.repro import repro
from tidegate.flow.track import Adding, add
from tidegate.pipeline.job import Listener, Options, Request

STAGES = """stages:
  split:
    cmd: mkdir -p out && cp raw.csv out/train.csv && cp other.csv out/test.csv
    deps: [raw.csv, other.csv]
    outs: [out]
  count:
    cmd: wc -l < out/train.csv > lines.txt
    deps: [out]
    outs: [lines.txt]
"""
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: urn:people
version: 1.0.0
status: active
name: people
servers:
- {server: train, type: local, path: out/train.csv, format: csv}
- {server: test, type: local, path: out/test.csv, format: csv}
- {server: elsewhere, type: local, path: out/later.csv, format: csv}
schema:
- name: people
  properties:
  - name: id
    logicalType: string
    required: true
    customProperties: [{property: tidegate.role, value: id}]
  - name: age
    logicalType: integer
    required: true
    logicalTypeOptions: {minimum: 0, maximum: 120}
    customProperties: [{property: tidegate.policy, value: {range: POLICY}}]
  customProperties:
  - {property: tidegate.leakage, value: [id]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A pipeline whose first stage writes two splits that keep the contract."""
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "people"\n')
    (tmp_path / "dvc.yaml").write_text(STAGES)
    write(tmp_path, "raw.csv", a=30, b=40)
    write(tmp_path, "other.csv", c=50)
    agree(tmp_path)
    return tmp_path


def agree(root: Path, policy: str = "reject") -> None:
    (root / "contract.odcs.yaml").write_text(CONTRACT.replace("POLICY", policy))


def write(root: Path, name: str, **ages: int) -> None:
    (root / name).write_text("id,age\n" + "".join(f"{who},{age}\n" for who, age in ages.items()))


def run(root: Path, **options: bool) -> tuple[list[tuple[str, str]], list[str]]:
    """What happened to each stage, and the notes."""
    notes: list[str] = []
    listener = Listener(lambda step: None, lambda stage, data: None, notes.append)
    outcome = repro(root, Request(options=Options(**options)), listener=listener)
    return [(step.stage, step.action) for step in outcome.steps], notes


def lock(root: Path) -> str:
    path = root / "dvc.lock"
    return path.read_text() if path.exists() else ""


def test_what_keeps_the_contract_is_recorded(root: Path) -> None:
    assert run(root) == ([("split", "ran"), ("count", "ran")], [])
    assert "split" in lock(root)


def test_what_is_refused_is_not_recorded_and_nothing_runs_on_it(root: Path) -> None:
    run(root)
    before = lock(root)
    write(root, "raw.csv", a=30, b=400)
    with pytest.raises(RefusedError) as caught:
        run(root)
    assert str(caught.value) == (
        "stage `split`: its out breaks the data contract: train.csv: column `age`: 1 of 2 values are out of range "
        "(row 2: '400'), expected 0 to 120"
    )
    assert caught.value.hint == "tidegate contract check"
    assert lock(root) == before
    assert "400" in (root / "out/train.csv").read_text(), "the rows stay for a person to look at"


def test_a_refused_stage_runs_again_and_passes_once_it_is_mended(root: Path) -> None:
    write(root, "raw.csv", a=-1)
    for _ in range(2):
        with pytest.raises(RefusedError):
            run(root)
    assert lock(root) == ""
    write(root, "raw.csv", a=1)
    assert run(root)[0] == [("split", "ran"), ("count", "ran")]


@pytest.fixture
def imported(root: Path) -> Path:
    """The same with the train split imported, and followed, from a file beside the project."""
    write(root.parent, "store.csv", a=30, b=40)
    (root / "dvc.yaml").write_text(COUNT)
    (root / "out").mkdir()
    import_url(root, str(root.parent / "store.csv"), Importing("out/train.csv"))
    (root / IMPORT).write_text((root / IMPORT).read_text().replace("frozen: true\n", ""))
    return root


COUNT = """stages:
  count:
    cmd: wc -l < out/train.csv > lines.txt
    deps: [out/train.csv]
    outs: [lines.txt]
"""
IMPORT = "out/train.csv.dvc"


def test_an_import_that_breaks_the_contract_is_not_recorded_and_nothing_runs_on_it(imported: Path) -> None:
    assert run(imported)[0] == [(IMPORT, "skipped"), ("count", "ran")]
    before = (imported / IMPORT).read_text(), lock(imported)
    write(imported.parent, "store.csv", a=30, b=400)
    for _ in range(2):
        with pytest.raises(RefusedError) as caught:
            run(imported)
        assert str(caught.value).startswith(
            f"stage `{IMPORT}`: its out breaks the data contract: train.csv: column `age`: 1 of 2 values"
        )
        assert ((imported / IMPORT).read_text(), lock(imported)) == before
    write(imported.parent, "store.csv", a=30, b=41)
    assert run(imported)[0] == [(IMPORT, "saved"), ("count", "ran")]


def test_an_import_that_returns_to_what_was_recorded_is_put_back(imported: Path) -> None:
    run(imported)
    write(imported.parent, "store.csv", a=400)
    with pytest.raises(RefusedError):
        run(imported)
    write(imported.parent, "store.csv", a=30, b=40)
    run(imported)
    assert (imported / "out/train.csv").read_text() == "id,age\na,30\nb,40\n"


def test_other_stages_go_on_beside_a_refused_import_if_asked(imported: Path) -> None:
    other = "  other:\n    cmd: echo 1 > other.txt\n    outs: [other.txt]\n"
    (imported / "dvc.yaml").write_text(COUNT + other)
    write(imported.parent, "store.csv", a=400)
    request = Request(on_error="keep_going")
    outcome = repro(
        imported, request, listener=Listener(lambda step: None, lambda *_: None, lambda text: None)
    )
    assert [step.stage for step in outcome.failed] == [IMPORT]
    assert (imported / "other.txt").exists()
    assert not (imported / "lines.txt").exists()


def test_a_tracked_file_that_a_person_changed_is_held_to_the_contract(root: Path) -> None:
    (root / "dvc.yaml").write_text(COUNT)
    (root / "out").mkdir()
    write(root, "out/train.csv", a=30)
    add(root, Adding(("out/train.csv",)))
    run(root)
    before = (root / IMPORT).read_text()
    (root / "out/train.csv").unlink()
    write(root, "out/train.csv", a=400)
    with pytest.raises(RefusedError):
        run(root)
    assert (root / IMPORT).read_text() == before


def test_what_is_flagged_is_told_and_recorded(root: Path) -> None:
    agree(root, "flag")
    write(root, "raw.csv", a=30, b=400)
    steps, notes = run(root)
    assert steps == [("split", "ran"), ("count", "ran")]
    assert notes == [
        "stage `split`: train.csv: column `age`: 1 of 2 values are out of range (row 2: '400'), "
        "expected 0 to 120 (flagged)"
    ]


def test_outs_of_one_stage_are_splits_of_one_data_set(root: Path) -> None:
    write(root, "other.csv", a=50)
    with pytest.raises(RefusedError, match=r"1 of 1 rows are also in train.csv"):
        run(root)


def test_what_is_skipped_or_restored_is_not_checked_again(root: Path) -> None:
    agree(root, "flag")
    write(root, "raw.csv", a=400)
    run(root)
    agree(root, "reject")
    assert run(root) == ([("split", "skipped"), ("count", "skipped")], [])
    (root / "out/train.csv").unlink()
    assert run(root) == ([("split", "restored"), ("count", "skipped")], [])


def test_a_broken_contract_fails_the_stage_before_it_runs(root: Path) -> None:
    path = root / "contract.odcs.yaml"
    path.write_text(path.read_text().replace("maximum: 120", "maximal: 120"))
    with pytest.raises(UsageError, match=r"contract.odcs.yaml:21:\d+: .*maximal"):
        run(root)
    assert not (root / "out").exists()


@pytest.mark.parametrize("name", ["contract.odcs.yaml", "tidegate.toml"])
def test_without_contract_or_policy_nothing_is_checked(root: Path, name: str) -> None:
    (root / name).unlink()
    write(root, "raw.csv", a=400)
    assert run(root)[0] == [("split", "ran"), ("count", "ran")]


def test_a_stage_that_the_contract_does_not_name_is_not_checked(root: Path) -> None:
    path = root / "contract.odcs.yaml"
    path.write_text(path.read_text().replace("out/", "elsewhere/"))
    write(root, "raw.csv", a=400)
    assert run(root)[0] == [("split", "ran"), ("count", "ran")]


def test_a_contract_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"\xff")
    with pytest.raises(UsageError) as caught:
        read_contract(tmp_path / "c.yaml", "c.yaml")
    assert str(caught.value) == "c.yaml: byte 0 is not UTF-8, expected text"
