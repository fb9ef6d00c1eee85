"""What a contract's document may say, and where a mistake in it is pointed out."""

import pytest

from tidegate.data.contract import parse_contract
from tidegate.data.contract.rules import Allowance, Check, Freshness, Items, Query, Range, RowRule, Serving
from tidegate.errors import UsageError

PLACE = "contract.odcs.yaml"
HEAD = "kind: DataContract\nname: digits\nschema:\n- name: rows\n  properties:\n"
COLUMN = HEAD + "  - name: x\n"
TABLE = COLUMN + "    logicalType: number\n"


def column_of(entry: str):
    return parse_contract(f"{HEAD}  - {{name: x, {entry}}}\n").every[0]


@pytest.mark.parametrize(
    ("entry", "check"),
    [
        ("logicalTypeOptions: {minimum: 0, exclusiveMaximum: 5}", Check("range", Range(0, 5, is_high_open=True))),
        ("logicalTypeOptions: {multipleOf: 0.5}", Check("step", 0.5)),
        ("logicalType: string, logicalTypeOptions: {minLength: 2}", Check("length", Range(2, None))),
        ("logicalType: string, logicalTypeOptions: {pattern: '^a$'}", Check("pattern", "^a$")),
        ("unique: true", Check("unique")),
        ("primaryKey: true", Check("unique")),
        ("quality: [{metric: nullValues, mustBeLessThan: 5, unit: percent}]",
         Check("required", None, Allowance(high=5, is_open=True, is_percent=True))),
        ("quality: [{metric: duplicateValues, mustBeLessOrEqualTo: 3}]", Check("unique", None, Allowance(high=3))),
        ("logicalType: string, quality: [{metric: missingValues, arguments: {missingValues: ['N/A']}, mustBe: 0}]",
         Check("missing", ("N/A",))),
        ("logicalType: string, quality: [{metric: invalidValues, arguments: {validValues: [a, b]}, mustBe: 0}]",
         Check("values", ("a", "b"))),
        ("logicalType: timestamp, logicalTypeOptions: {minimum: '2026-01-01T02:00:00+02:00'}",
         Check("range", Range("2026-01-01T00:00:00"))),
        ("logicalType: array, items: {logicalType: number}, "
         "customProperties: [{property: tidegate.tensor, value: {shape: [-1, 64], datatype: FP32}}]",
         Check("items", Items("number", (64,)))),
        ("logicalType: array, logicalTypeOptions: {minItems: 1, maxItems: 3}, items: {logicalType: integer}",
         Check("items", Items("integer", (-1,), (), Range(1, 3)))),
    ],
)  # fmt: skip
def test_a_column_s_words_become_checks(entry: str, check: Check) -> None:
    assert column_of(entry).checks == (check,)


def test_a_policy_names_the_rules_that_are_only_flagged() -> None:
    assert column_of(
        "customProperties: [{property: tidegate.policy, value: {range: flag, required: reject}}]"
    ).flags == {"range"}
    assert "finite" in column_of("customProperties: [{property: tidegate.policy, value: flag}]").flags
    quality = "quality: [{metric: nullValues, mustBe: 0, customProperties: [{property: tidegate.policy, value: flag}]}]"
    assert column_of(quality).flags == {"required"}


def test_roles_take_columns_out_of_the_model_s_row() -> None:
    text = HEAD + "".join(
        f"  - {{name: {name}, customProperties: [{{property: tidegate.role, value: {role}}}]}}\n"
        for name, role in (("y", "label"), ("x", "feature"), ("i", "id"))
    )
    contract = parse_contract(text)
    assert [column.name for column in contract.columns] == ["x"]
    assert [column.name for column in contract.others] == ["y", "i"]


def test_the_table_s_rules_are_read() -> None:
    text = (
        TABLE.replace("number", "timestamp")
        + "  quality:\n"
        + "  - {metric: rowCount, mustBeBetween: [10, 20]}\n"
        + "  - {metric: duplicateValues, arguments: {properties: [x]}, mustBe: 0}\n"
        + "  - {type: sql, name: q, query: 'select 1', mustBeLessThan: 2}\n"
        + "  customProperties:\n"
        + "  - {property: tidegate.leakage, value: true}\n"
        + "  - {property: tidegate.banned, value: ['*ssn*']}\n"
        + "  - {property: tidegate.rules, value: [{expression: 'x is not null', policy: flag}]}\n"
        + "slaProperties: [{property: freshness, value: 2, unit: h, element: rows.x}, {property: uptime, value: 9}]\n"
        + "customProperties: [{property: tidegate.serving, value: {unknown_fields: ignore}}, {property: mine, value: 1}]\n"  # noqa: E501
        + "servers: [{server: a, type: local, path: a.csv}, {server: b, type: postgres}]\n"
    )
    contract = parse_contract(text)
    table = contract.table
    assert (table.rows, table.keys) == (Allowance(10, 20), (("x",),))
    assert (table.leakage, table.banned) == (("x",), ("*ssn*",))
    assert table.row_rules == (RowRule("x is not null", "x is not null", "flag"),)
    assert table.queries == (Query("q", "select 1", Allowance(high=2, is_open=True)),)
    assert table.fresh == Freshness("x", 7200)
    assert contract.serving == Serving("reject", "ignore")
    assert [server.path for server in contract.servers] == ["a.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{COLUMN}    requird: true\n", "7:5: unknown key `requird` of a column, did you mean `required`?"),
        (f"sevrers: []\n{COLUMN}", "1:1: unknown key `sevrers` of the contract, did you mean `servers`?"),
        (f"{COLUMN}    logicalTypeOptions: {{minmum: 1}}\n",
         "7:26: unknown key `minmum` of a number's logicalTypeOptions, did you mean `minimum`?"),
        (f"{COLUMN}    logicalTypeOptions: {{minLength: 1}}\n",
         "7:26: unknown key `minLength` of a number's logicalTypeOptions"),
        (f"{COLUMN}    customProperties: [{{property: tidegate.roel, value: id}}]\n",
         "7:25: unknown property `tidegate.roel` of a column, did you mean `tidegate.role`?"),
        (f"{COLUMN}    customProperties: [{{property: tidegate.role, value: lable}}]\n",
         "7:50: unknown role `lable`, did you mean `label`?"),
        (f"{COLUMN}    customProperties: [{{property: tidegate.policy, value: {{rnage: flag}}}}]\n",
         "7:60: unknown key `rnage` of tidegate.policy, did you mean `range`?"),
        (f"{COLUMN}    quality: [{{metric: nulValues, mustBe: 0}}]\n",
         "7:16: unknown metric `nulValues`, did you mean `nullValues`?"),
        (f"{COLUMN}    quality: [{{metric: nullValues}}]\n",
         "7:15: 0 operators, expected one of `mustBe`, `mustBeLessThan` and the like"),
        (f"{COLUMN}    quality: [{{metric: nullValues, mustBeBetween: [3, 1]}}]\n",
         "7:36: mustBeBetween is [3, 1], expected two numbers in order"),
        (f"{COLUMN}    quality: 3\n", "7:5: quality is 3, expected a list"),
        (f"{COLUMN}    unique: 1\n", "7:5: unique is 1, expected a boolean"),
        (f"{COLUMN}    logicalTypeOptions: {{minimum: 3, maximum: 1}}\n", "7:5: minimum 3 is above maximum 1"),
        (f"{COLUMN}    logicalTypeOptions: {{minimum: .nan}}\n", "7:26: minimum is nan, expected a number"),
        (f"{COLUMN}    logicalTypeOptions: {{multipleOf: 0}}\n", "7:26: multipleOf is 0, expected a number above 0"),
        (f"{COLUMN}    logicalType: date\n    logicalTypeOptions: {{minimum: soon}}\n",
         "8:26: minimum is 'soon', expected a date such as 2026-01-31"),
        (f"{COLUMN}    logicalType: string\n    logicalTypeOptions: {{pattern: '('}}\n",
         "8:26: pattern `(` is no regular expression, missing ), unterminated subpattern at position 0"),
        (f"{COLUMN}    logicalType: string\n    quality: [{{metric: invalidValues, arguments: {{validValues: [1]}}, mustBe: 0}}]\n",  # noqa: E501
         "8:5: the value 1 is no string, its column is"),
        (f"{COLUMN}    unique: true\n    quality: [{{metric: duplicateValues, mustBe: 0}}]\n",
         "6:5: the rule `unique` is given twice, expected once"),
        (f"{COLUMN}    customProperties: [{{property: tidegate.tensor, value: {{shape: [-1, 3]}}}}]\n",
         "7:52: a tensor is an array, the column is a number"),
        (f"{TABLE}  customProperties: [{{property: tidegate.rules, value: [{{expression: 'x < y'}}]}}]\n",
         "8:58: expression: unknown column `y`"),
        (f"{TABLE}  customProperties: [{{property: tidegate.leakage, value: [z]}}]\n", "8:51: unknown column `z`"),
        (f"{TABLE}slaProperties: [{{property: freshness, value: 1, element: x}}]\n",
         "8:49: column `x` is a number, freshness needs a date or timestamp"),
        (f"apiVersion: v2.2.2\n{COLUMN}", "1:1: apiVersion is not v3, expected v3.1.0"),
        (HEAD + '  - name: "a\\0b"\n', "6:5: name holds a NUL character, expected text without"),
    ],
)  # fmt: skip
def test_a_mistake_is_pointed_out_at_its_line_and_column(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_contract(text)
    assert str(caught.value) == f"{PLACE}:{message}"
