"""The contract over what lies here; what stages write anew is left to them."""

import pytest

from tidegate.errors import UsageError
from tidegate.flow.ci.contract import check_contract, foresee_contract
from tidegate.project import load_config

CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: urn:tiny
version: 1.0.0
status: active
name: tiny
servers:
- {server: train, type: local, path: data/processed/train.csv, format: csv}
- {server: test, type: local, path: data/processed/test.csv, format: csv}
schema:
- name: tiny
  properties:
  - name: id
    logicalType: string
    required: true
    customProperties: [{property: tidegate.role, value: id}]
  - name: label
    logicalType: integer
    customProperties: [{property: tidegate.role, value: label}]
  - name: x0
    logicalType: number
    logicalTypeOptions: {minimum: 0, maximum: MAXIMUM}
    customProperties: [{property: tidegate.policy, value: {range: POLICY}}]
  - name: x1
    logicalType: number
"""


@pytest.fixture
def agree(write):
    def agree(root, maximum=16, policy="reject"):
        text = CONTRACT.replace("MAXIMUM", str(maximum)).replace("POLICY", policy)
        write(root, "contract.odcs.yaml", text)

    return agree


def test_files_that_keep_it_pass(project, agree, room):
    agree(project)
    ended = check_contract(room(project), [])
    assert (ended.outcome, ended.because) == ("passed", "2 files kept")
    assert [(case.name, case.because) for case in ended.cases] == [
        ("data/processed/train.csv", "400 rows"),
        ("data/processed/test.csv", "400 rows"),
    ]


def test_a_broken_rule_is_a_case_with_its_file(project, agree, room):
    agree(project, maximum=15)
    ended = check_contract(room(project), [])
    assert (ended.outcome, ended.because) == ("failed", "2 rules broken")
    assert ended.failed == ("data/processed/train.csv: x0 range", "data/processed/test.csv: x0 range")
    assert ended.cases[0].path == "data/processed/train.csv"
    assert "out of range" in ended.cases[0].because


def test_what_is_only_flagged_is_told_and_passes(project, agree, room):
    agree(project, maximum=15, policy="flag")
    ended = check_contract(room(project), [])
    assert ended.outcome == "passed"
    assert [case.because for case in ended.cases if "flagged:" in case.because] != []


def test_a_file_that_is_not_there_fails(project, agree, room):
    agree(project)
    (project / "data/processed/test.csv").unlink()
    ended = check_contract(room(project), [])
    assert (ended.outcome, ended.failed) == ("failed", ("data/processed/test.csv",))


@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_stage_will_write_is_left_to_it(project, agree, room, is_there):
    agree(project, maximum=15)
    if not is_there:
        (project / "data/processed/test.csv").unlink()
    ended = check_contract(room(project), [(project / "data").resolve()])
    assert (ended.outcome, ended.because) == ("passed", "2 files held to it when written")


def test_without_a_contract_it_says_so(project, room):
    assert check_contract(room(project), []).because == "no contract, contract.odcs.yaml is not there"
    assert foresee_contract(project, load_config(project)).says.startswith("skipped: no contract")


def test_a_contract_that_names_no_file_says_so(project, write, room):
    text = CONTRACT.replace("MAXIMUM", "16").replace("POLICY", "reject")
    write(
        project, "contract.odcs.yaml", "\n".join(line for line in text.splitlines() if "server" not in line)
    )
    assert check_contract(room(project), []).because == "contract.odcs.yaml names no local file"


def test_a_contract_that_cannot_be_read_is_named(project, write, room):
    write(project, "contract.odcs.yaml", "kind: [\n")
    with pytest.raises(UsageError, match=r"^contract\.odcs\.yaml:"):
        check_contract(room(project), [])


def test_what_would_be_checked_is_told(project, agree):
    agree(project)
    assert foresee_contract(project, load_config(project)).says == "check 2 files against contract.odcs.yaml"
