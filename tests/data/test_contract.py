"""The data contract: read, written and inferred; what is wrong in it is said at line and column."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.contract import (
    API_VERSION,
    KINDS,
    Column,
    Contract,
    infer_contract,
    parse_contract,
    render_contract,
)
from tidegate.data.contract.rules import (
    COLUMN_RULES,
    NONE_ALLOWED,
    ROLES,
    TABLE_RULES,
    Allowance,
    Check,
    Items,
    Query,
    Range,
    RowRule,
    Server,
    Serving,
    TableRules,
)
from tidegate.data.tables import Table
from tidegate.data.yaml import parse_yaml
from tidegate.errors import UsageError

HEAD = "kind: DataContract\nname: digits\nschema:\n- name: rows\n  properties:\n"
DIGITS = Contract("digits", (Column("px_0", "number"), Column("seen", "boolean", is_required=False)))

law = settings(max_examples=200, deadline=None, derandomize=True)
plain = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"], exclude_characters="\0")
texts = st.text(plain, max_size=8)
names = st.text(plain, max_size=12) | st.sampled_from(
    ["null", "yes", "1", "1e3", "a: b", "- x", "#", "a/b", "~", "true", "no"]
)
finite = st.floats(allow_nan=False, allow_infinity=False)
allowances = st.sampled_from(
    [
        NONE_ALLOWED,
        Allowance(high=5, is_open=True, is_percent=True),
        Allowance(low=1, high=7),
        Allowance(high=3),
        Allowance(1, 7, is_outside=True),
    ]
)


def ranges(ends: st.SearchStrategy[Any]) -> st.SearchStrategy[Range]:
    """Bounds in order, at least one of them."""
    return st.one_of(
        st.builds(lambda low, is_open: Range(low, None, is_low_open=is_open), ends, st.booleans()),
        st.builds(lambda high, is_open: Range(None, high, is_high_open=is_open), ends, st.booleans()),
        st.tuples(ends, ends).map(sorted).map(lambda pair: Range(*pair)),
    )


def check(
    rule: str, argument: st.SearchStrategy[Any], *, exceptions: bool = False
) -> st.SearchStrategy[Check]:
    return st.builds(Check, st.just(rule), argument, allowances if exceptions else st.just(NONE_ALLOWED))


numeric = [check("range", ranges(finite)), check("step", st.floats(1e-3, 1e3))]
counted = [check("required", st.none(), exceptions=True), check("unique", st.none(), exceptions=True)]
CHECKS = {
    "number": [
        *numeric,
        *counted,
        check("values", st.lists(finite, min_size=1, max_size=3).map(tuple), exceptions=True),
    ],
    "integer": [
        *numeric,
        *counted,
        check("missing", st.lists(st.integers(), min_size=1).map(tuple), exceptions=True),
    ],
    "string": [
        *counted,
        check("values", st.lists(texts, min_size=1, max_size=3).map(tuple), exceptions=True),
        check("pattern", st.sampled_from([r"^a\d+$", "\"'", "ä|ö"]), exceptions=True),
        check("length", st.tuples(st.integers(0, 5), st.integers(5, 9)).map(lambda pair: Range(*pair))),
    ],
    "boolean": [check("values", st.just((True,)))],
    "date": [check("range", ranges(st.dates().map(lambda day: day.isoformat())))],
    "timestamp": [check("range", ranges(st.datetimes().map(lambda at: at.isoformat())))],
    "array": [
        st.builds(
            lambda shape, checks: Check("items", Items("number", tuple(shape), tuple(checks))),
            st.lists(st.integers(1, 9) | st.just(-1), min_size=1, max_size=3),
            st.lists(numeric[0], max_size=1),
        )
    ],
}


@st.composite
def columns(draw: st.DrawFn) -> Column:
    kind = draw(st.sampled_from(KINDS))
    checks = [draw(one) for one in CHECKS[kind] if draw(st.booleans())]
    checks.sort(key=lambda one: COLUMN_RULES.index(one.rule))
    return Column(
        draw(names),
        kind,
        draw(st.booleans()),
        draw(st.sampled_from(ROLES)),
        tuple(checks),
        draw(st.frozensets(st.sampled_from(COLUMN_RULES), max_size=3)),
        draw(st.booleans()),
        draw(st.booleans()),
        tuple(draw(st.lists(texts | st.booleans() | finite, max_size=2))),
        draw(texts),
    )


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    every = draw(st.lists(columns(), min_size=1, max_size=5, unique_by=lambda column: column.name))
    known = st.lists(st.sampled_from([column.name for column in every]), min_size=1, max_size=3).map(tuple)
    table = TableRules(
        rows=draw(allowances | st.just(Allowance(low=1))),
        keys=tuple(draw(st.lists(known, max_size=2))),
        leakage=draw(known | st.just(())),
        banned=tuple(draw(st.lists(texts, max_size=2))),
        unknown=draw(st.sampled_from(["allow", "flag", "reject"])),
        personal=draw(st.sampled_from(["allow", "flag", "reject"])),
        row_rules=tuple(
            draw(st.lists(st.builds(RowRule, names, st.just("1 < 2"), st.just("flag")), max_size=1))
        ),
        queries=tuple(
            draw(
                st.lists(st.builds(Query, texts.filter(bool), texts, allowances, st.just("flag")), max_size=1)
            )
        ),
        flags=draw(st.frozensets(st.sampled_from(TABLE_RULES), max_size=3)),
    )
    return Contract(
        draw(names),
        tuple(column for column in every if column.role == "feature"),
        tuple(column for column in every if column.role != "feature"),
        table,
        Serving(draw(st.sampled_from(["reject", "flag"])), draw(st.sampled_from(["reject", "ignore"]))),
        tuple(draw(st.lists(st.builds(Server, texts.filter(bool), texts), max_size=2))),
    )


@law
@given(contracts())
def test_a_contract_survives_being_written_down(contract: Contract) -> None:
    assert parse_contract(render_contract(contract)) == contract


@pytest.mark.parametrize("name", ["😀", "𝑥"])
def test_a_name_beyond_the_first_plane_survives_too(name: str) -> None:
    contract = Contract(name, (Column(name, "number"),))
    assert parse_contract(render_contract(contract)) == contract


def test_what_is_written_is_a_document_of_the_standard() -> None:
    document = parse_yaml(render_contract(DIGITS), "contract.odcs.yaml")
    assert {key: document[key] for key in ("apiVersion", "kind", "id", "version", "status")} == {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": "urn:tidegate:contract:digits",
        "version": "1.0.0",
        "status": "active",
    }
    assert document["schema"] == [
        {
            "name": "digits",
            "logicalType": "object",
            "properties": [
                {"name": "px_0", "logicalType": "number", "required": True},
                {"name": "seen", "logicalType": "boolean", "required": False},
            ],
        }
    ]


def test_a_column_that_says_only_its_name_is_an_optional_number() -> None:
    assert parse_contract(HEAD + "  - name: x\n").columns == (Column("x", "number", is_required=False),)


def test_parts_that_do_not_describe_columns_are_left_alone() -> None:
    text = HEAD + "  - {name: x, quality: [{type: text}], tags: [a]}\nteam: [{username: ada}]\nsupport: 3\n"
    assert parse_contract(text) == Contract("digits", (Column("x", "number", is_required=False),))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("name: outer\nschema:\n- name: inner\n", "outer"),
        ("schema:\n- name: inner\n", "inner"),
        ("name: 7\nschema:\n- name: inner\n", "7"),
        ("schema:\n-\n", ""),
    ],
)
def test_the_name_is_the_document_s_or_else_its_object_s(head: str, name: str) -> None:
    text = f"kind: DataContract\n{head}  properties: [{{name: x}}]\n"
    assert parse_contract(text).name == name


PLACE = "contract.odcs.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", f"{PLACE}:1:1: not a data contract, expected `kind: DataContract`"),
        ("id: 1\nkind: Pod\n", f"{PLACE}:2:1: not a data contract, expected `kind: DataContract`"),
        ("kind: DataContract\n", f"{PLACE}:1:1: `schema` must be a list of one object"),
        ("kind: DataContract\nschema: {}\n", f"{PLACE}:2:1: `schema` must be a list of one object"),
        ("kind: DataContract\nschema: []\n", f"{PLACE}:2:1: `schema` must be a list of one object"),
        ("kind: DataContract\nschema: [x]\n", f"{PLACE}:2:1: `schema` must be a list of one object"),
        ("kind: DataContract\nschema: [{}, {}]\n", f"{PLACE}:2:1: `schema` must be a list of one object"),
        (
            "kind: DataContract\nschema:\n- name: x\n",
            f"{PLACE}:3:3: `properties` must be a list of at least one column",
        ),
        (
            "kind: DataContract\nschema:\n- name: x\n  properties: []\n",
            f"{PLACE}:4:3: `properties` must be a list of at least one column",
        ),
        (
            "kind: DataContract\nschema:\n- properties: {x: number}\n",
            f"{PLACE}:3:3: `properties` must be a list of at least one column",
        ),
        (HEAD + "  - name: x\n  - plain\n", f"{PLACE}:7:5: a column needs a `name`, found none"),
        (HEAD + "  - logicalType: number\n", f"{PLACE}:6:5: a column needs a `name`, found none"),
        (HEAD + "  - name: 3\n", f"{PLACE}:6:5: a column needs a `name`, found none"),
        (
            HEAD + "  - name: x\n    logicalType: nubmer\n",
            f"{PLACE}:7:5: unknown logicalType `nubmer`, did you mean `number`?",
        ),
        (HEAD + "  - name: x\n    logicalType: object\n", f"{PLACE}:7:5: unknown logicalType `object`"),
        (HEAD + "  - name: x\n    logicalType:\n", f"{PLACE}:7:5: unknown logicalType `None`"),
        (HEAD + "  - name: x\n    logicalType: {}\n", f"{PLACE}:7:5: unknown logicalType `{{}}`"),
        (
            HEAD + "  - name: x\n    required: maybe\n",
            f"{PLACE}:7:5: required is 'maybe', expected a boolean",
        ),
        (HEAD + "  - name: x\n    required: 1\n", f"{PLACE}:7:5: required is 1, expected a boolean"),
        (
            HEAD + "  - name: x\n  - name: y\n  - required: true\n    name: x\n",
            f"{PLACE}:9:5: column `x` appears twice, names must be distinct",
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_contract(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["", "# only a comment\n"])
def test_an_empty_file_is_not_a_contract(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_contract(text)
    assert str(caught.value) == f"{PLACE}: not a data contract, expected `kind: DataContract`"


def test_an_unknown_type_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        parse_contract(HEAD + "  - name: x\n    logicalType: object\n")
    assert caught.value.hint == "one of number, integer, string, boolean, date, timestamp, array"


@pytest.mark.parametrize(
    ("text", "place"), [("kind: [\n", "mine.yaml:2:1"), ("kind: a\nkind: b\n", "mine.yaml:2:1")]
)
def test_what_is_not_yaml_is_said_in_the_file_that_was_named(text: str, place: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_contract(text, "mine.yaml")
    assert caught.value.where == place


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([1, 2], Column("c", "integer")),
        ([1, 2.5], Column("c", "number")),
        ([1.0, 2.0], Column("c", "number")),
        ([True, False], Column("c", "boolean")),
        ([True, 1], Column("c", "string")),
        (["a", "b"], Column("c", "string")),
        (["a", 1], Column("c", "string")),
        ([1, None], Column("c", "integer", is_required=False)),
        ([True, None], Column("c", "boolean", is_required=False)),
        (["a", ""], Column("c", "string", is_required=False)),
        ([None, None], Column("c", "number", is_required=False)),
        ([], Column("c", "number")),
    ],
)
def test_a_column_is_inferred_from_its_values(values: list[object], column: Column) -> None:
    assert infer_contract("n", Table(("c",), {"c": values})) == Contract("n", (column,))


def test_an_inferred_contract_keeps_the_order_of_the_table() -> None:
    table = Table(("z", "a"), {"a": ["x"], "z": [1]})
    contract = infer_contract("n", table)
    assert contract == Contract("n", (Column("z", "integer"), Column("a", "string")))
    assert parse_contract(render_contract(contract)) == contract
