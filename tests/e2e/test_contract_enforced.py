"""The contract of the digits example in its three places: after a stage, by the command, at the endpoint."""

import re
from pathlib import Path

import pytest

INFER = "/v2/models/digits/infer"
GOOD = [8.0] * 64


@pytest.fixture
def contract(digits: Path):
    """The example's contract, to be changed by `contract(old, new)`; as it was when the test ends."""
    path = digits / "contract.odcs.yaml"
    before = path.read_text()

    def change(old: str, new: str) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    yield change
    path.write_text(before)


def tensor(*rows: list[float]) -> dict[str, object]:
    data = [cell for row in rows for cell in row]
    return {"inputs": [{"name": "X", "datatype": "FP32", "shape": [len(rows), 64], "data": data}]}


def test_the_example_keeps_its_own_contract(digits, run) -> None:
    found = run(digits, "contract", "check", "--json").json
    assert (found["verdict"], [table["file"] for table in found["files"]]) == (
        "pass",
        ["train.csv", "test.csv"],
    )


def test_the_command_exits_3_on_what_it_rejects(digits, run, contract) -> None:
    contract(
        "p20\n    logicalType: number\n    required: true\n    logicalTypeOptions: {minimum: 0, maximum: 16}",
        "p20\n    logicalType: number\n    required: true\n    logicalTypeOptions: {minimum: 0, maximum: 9}",
    )
    assert "column `p20`" in run(digits, "contract", "check", expect=3).out


def test_a_stage_whose_table_breaks_the_contract_fails(digits, run, contract) -> None:
    lock = (digits / "dvc.lock").read_text()
    contract("{minimum: 0, maximum: 9}", "{minimum: 0, maximum: 8}")
    done = run(digits, "repro", "--force", "preprocess", expect=1)
    assert "stage `preprocess`: its out breaks the data contract: train.csv: column `label`" in done.err
    assert "hint:  tidegate contract check" in done.err
    assert (digits / "dvc.lock").read_text() == lock


def test_a_broken_contract_is_an_error_when_the_bundle_is_packed(digits, run, contract) -> None:
    run(digits, "gate")
    contract("maximum: 16", "maximmum: 16")
    done = run(digits, "plan", expect=2)
    assert re.search(
        r"contract\.odcs\.yaml:\d+:\d+: unknown key `maximmum`.*did you mean `maximum`", done.err
    )
    assert not list((digits / ".tidegate/bundles").glob("*/"))


def test_a_feature_that_is_text_is_an_error_when_the_bundle_is_packed(digits, run, contract) -> None:
    run(digits, "gate")
    contract(
        "p00\n    logicalType: number\n    required: true\n    logicalTypeOptions: {minimum: 0, maximum: 16}",
        "p00\n    logicalType: string",
    )
    done = run(digits, "plan", expect=2)
    assert "contract.odcs.yaml: feature `p00` is text, the model takes numbers" in done.err


def test_the_example_row_is_accepted(endpoint, released, run) -> None:
    example = run(released, "contract", "show", "--example").json
    assert endpoint.ask("POST", "/predict", example).status == 200


def test_a_row_out_of_range_is_400_with_every_violation(endpoint) -> None:
    row = {f"p{pixel:02d}": 8 for pixel in range(64)}
    reply = endpoint.ask("POST", "/predict", {"rows": [row, row | {"p07": 17, "p63": None}]})
    assert (reply.status, reply.body) == (
        400,
        {
            "error": "rows[1].p07: is 17.0, expected 0 to 16 (and 1 more)",
            "violations": [
                "rows[1].p07: is 17.0, expected 0 to 16",
                "rows[1].p63: is null, expected a value",
            ],
        },
    )


def test_a_tensor_out_of_range_is_400_too(endpoint) -> None:
    name = endpoint.ask("GET", "/v2/models/digits").body["inputs"][0]["name"]
    body = tensor(GOOD, [*GOOD[:-1], -1.0])
    body["inputs"][0]["name"] = name
    reply = endpoint.ask("POST", INFER, body)
    assert (reply.status, reply.body["violations"]) == (
        400,
        ["inputs[0].data row 1.p63: is -1.0, expected 0 to 16"],
    )


def test_refusals_are_counted_by_rule_and_column(endpoint) -> None:
    endpoint.ask("POST", "/predict", {"row": [99, *GOOD[1:]]})
    metrics = endpoint.ask("GET", "/metrics").body
    found = re.search(
        r'tidegate_contract_violations_total\{column="p00",policy="reject",rule="range"\} (\d)', metrics
    )
    assert found and int(found[1]) >= 1


def test_a_flagged_row_is_answered_counted_and_marked(endpoint, released, run, until, contract) -> None:
    contract(
        "schema:\n",
        "customProperties: [{property: tidegate.serving, value: {on_violation: flag}}]\nschema:\n",
    )
    for words in (("gate",), ("plan",), ("apply",), ("rollout", "promote")):
        run(released, *words)
    body = {"row": [99, *GOOD[1:]]}
    until(lambda: endpoint.ask("POST", "/predict", body).status == 200)
    reply = endpoint.ask("POST", "/predict", body, {"x-request-id": "bright"})
    assert reply.status == 200
    rows = run(released, "log", "-n", "5", "--json").json
    assert next(row["flags"] for row in rows if row["request"] == "bright") == ["p00 range"]
    assert "p00 range" in run(released, "log", "-n", "5").out
    metrics = endpoint.ask("GET", "/metrics").body
    assert 'tidegate_contract_violations_total{column="p00",policy="flag",rule="range"}' in metrics
