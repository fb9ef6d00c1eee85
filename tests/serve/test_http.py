"""The HTTP front: every status with its sentence, every header, and any bytes at the door."""

import asyncio
import json
import re
import struct
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tidegate.data.contract import Column, Contract
from tidegate.data.contract.rules import Check, Range
from tidegate.errors import CorruptError
from tidegate.serve import asgi as http
from tidegate.serve import engine as engines
from tidegate.serve.asgi import BODY_S
from tidegate.serve.route import choose
from tidegate.serve.shape import make_shape

LAW = settings(max_examples=150, deadline=None, derandomize=True)
ROW = {"row": [1, 2, 3]}
LABELS = {"labels": [{"request": "r", "truth": "a"}]}
POISON = {"row": [1, 666, 3]}
INFER = "/v2/models/digits/infer"


def units(gateway) -> list[str]:
    return [row.unit for row in gateway.rows]


def test_a_prediction_names_its_rows_release_and_bundle(gateway) -> None:
    reply = gateway.ask("POST", "/predict", {"rows": [[1, 2, 3], [9, 2, 3]]}, x_request_id="r-1")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json == {
        "request_id": "r-1",
        "ids": ["r-1.0", "r-1.1"],
        "predictions": ["c", "a"],
        "scores": [[1.0, 2.0, 3.0], [9.0, 2.0, 3.0]],
        "release": 7,
        "bundle": gateway.model.digest,
    }
    assert [row.request for row in gateway.rows] == ["r-1.0", "r-1.1"]


def test_a_single_row_keeps_the_requests_id(gateway) -> None:
    assert gateway.ask("POST", "/predict", ROW, x_request_id="r-1").json["ids"] == ["r-1"]


def test_the_headers_name_the_arm_that_answered(gateway) -> None:
    gateway.start_canary(1.0)
    reply = gateway.ask("POST", "/predict", ROW)
    assert {name: value for name, value in reply.headers.items() if name.startswith("x-tidegate")} == {
        "x-tidegate-release": "7",
        "x-tidegate-bundle": gateway.canary.digest,
        "x-tidegate-role": "canary",
    }
    assert reply.headers["content-length"] == str(len(reply.body))


@pytest.mark.parametrize(
    ("path", "body"), [("/predict", ROW), ("/labels", LABELS), ("/predict", POISON), ("/predict", {})]
)
def test_a_given_request_id_comes_back_whatever_the_answer(gateway, path, body) -> None:
    assert gateway.ask("POST", path, body, x_request_id="abc!").headers["x-request-id"] == "abc!"


def test_a_request_without_an_id_gets_one_of_its_own(gateway) -> None:
    replies = [gateway.ask("POST", "/predict", ROW) for _ in range(3)]
    ids = [reply.headers["x-request-id"] for reply in replies]
    assert all(re.fullmatch("[0-9a-f]{16}", request) for request in ids)
    assert len(set(ids)) == 3
    assert ids == [row.request for row in gateway.rows] == [reply.json["request_id"] for reply in replies]


@pytest.mark.parametrize("value", ["", "a b", "ü", "a" * 129, "a\r\nb: c"])
def test_an_invalid_request_id_is_refused_and_not_sent_back(gateway, value: str) -> None:
    reply = gateway.ask("POST", "/predict", ROW, x_request_id=value)
    assert reply.status == 400
    assert reply.json == {"error": "x-request-id: expected 1 to 128 visible ASCII characters"}
    assert "x-request-id" not in reply.headers
    assert gateway.rows == []


@pytest.mark.parametrize(
    ("assign_by", "headers", "unit"),
    [
        ("header:x-user", {"x_user": "ann"}, "ann"),
        ("header:X-Account", {"x_account": "a7", "x_user": "ann"}, "a7"),
        ("header:x-user", {"x_user": "ü" * 300}, "ü" * 256),
        ("header:x-user", {"x_user": ""}, "r"),
        ("header:x-user", {}, "r"),
        ("request", {"x_user": "ann"}, "r"),
    ],
)
def test_the_unit_is_the_named_header_else_the_request(make_gateway, assign_by, headers, unit: str) -> None:
    gateway = make_gateway(assign_by=assign_by)
    gateway.ask("POST", "/predict", ROW, x_request_id="r", **headers)
    assert units(gateway) == [unit]


def test_a_unit_stays_on_its_arm(gateway) -> None:
    gateway.start_canary(0.5)
    for _ in range(3):
        for user in "abcdefgh":
            gateway.ask("POST", "/predict", ROW, x_user=user)
    arms = {(row.unit, row.role) for row in gateway.rows}
    assert len(arms) == 8
    assert len({role for _, role in arms}) == 2


def test_labels_are_written_before_they_are_accepted(gateway) -> None:
    reply = gateway.ask("POST", "/labels", {"labels": LABELS["labels"] * 2}, x_request_id="l")
    assert (reply.status, reply.json) == (202, {"accepted": 2})
    assert [(label.request, label.truth) for label in gateway.labels] == [("r", "a")] * 2


def test_an_inference_answers_in_tensors(gateway, tensor) -> None:
    reply = gateway.ask("POST", INFER, tensor([[1, 2, 3], [9, 2, 3]], (2, 3)) | {"id": "i-1"})
    assert (reply.status, reply.headers["x-request-id"]) == (200, "i-1")
    assert reply.json == {
        "model_name": "digits",
        "model_version": "3",
        "id": "i-1",
        "outputs": [
            {"name": "predictions", "shape": [2], "datatype": "BYTES", "data": ["c", "a"]},
            {"name": "scores", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 9, 2, 3]},
        ],
    }
    assert [row.request for row in gateway.rows] == ["i-1.0", "i-1.1"]


def test_the_id_in_a_body_draws_the_arm_where_nothing_else_names_the_unit(make_gateway, tensor) -> None:
    gateway = make_gateway(assign_by="request")
    gateway.start_canary(0.5)
    for number in range(12):
        gateway.ask("POST", INFER, {"id": f"r{number}"} | tensor([1, 2, 3]))
    route = gateway.engine.live()
    assert [(row.unit, row.role) for row in gateway.rows] == [
        (f"r{number}", choose(route, f"r{number}").role) for number in range(12)
    ]


def test_an_inference_without_an_id_has_the_requests(gateway, tensor) -> None:
    reply = gateway.ask("POST", INFER, tensor([1, 2, 3]), x_request_id="r", x_user="ann")
    assert (reply.json["id"], reply.headers["x-request-id"], units(gateway)) == ("r", "r", ["ann"])


def test_an_inference_gives_only_the_outputs_that_were_asked_for(gateway, tensor) -> None:
    body = tensor([1, 2, 3]) | {"outputs": [{"name": "scores"}]}
    assert [output["name"] for output in gateway.ask("POST", INFER, body).json["outputs"]] == ["scores"]


@pytest.mark.parametrize(("version", "role"), [("3", "stable"), ("4", "canary")])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_version_asked_for_by_name_is_no_draw_of_chance(
    gateway, tensor, version: str, role: str, weight
) -> None:
    gateway.start_canary(weight)
    path = f"/v2/models/digits/versions/{version}/infer"
    reply = gateway.ask("POST", path, tensor([1, 2, 3]), x_user="ann")
    assert (reply.json["model_version"], reply.headers["x-tidegate-role"]) == (version, role)
    assert [(row.unit, row.role) for row in gateway.rows] == [("", role)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/healthz", {"live": True}),
        ("/v2/health/live", {"live": True}),
        ("/readyz", {"ready": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/digits/ready", {"name": "digits", "ready": True}),
        ("/v2/models/digits/versions/3/ready", {"name": "digits", "ready": True}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_told(gateway, method: str, path: str, body) -> None:
    reply = gateway.ask(method, path)
    assert (reply.status, reply.json, reply.headers["content-type"]) == (200, body, "application/json")


def test_metadata_are_told(gateway) -> None:
    gateway.start_canary(0.1)
    assert gateway.ask("GET", "/v2").json["name"] == "tidegate"
    whole = gateway.ask("GET", "/v2/models/digits").json
    assert (whole["name"], whole["versions"]) == ("digits", ["3", "4"])
    assert gateway.ask("GET", "/v2/models/digits/versions/4").json == whole


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/", "no such path /"),
        ("GET", "/nothing", "no such path /nothing"),
        ("POST", "/predict/7", "no such path /predict/7"),
        ("DELETE", "/v2/models/digits", "no such path /v2/models/digits"),
        ("GET", "/v2/models/digits/x", "no such path /v2/models/digits/x"),
        ("GET", "/v2/models/digits/versions", "no such path /v2/models/digits/versions"),
        ("GET", "/v2/models/dogs", "no model `dogs`, this endpoint serves `digits`"),
        ("GET", "/v2/models/dogs/ready", "no model `dogs`, this endpoint serves `digits`"),
        ("GET", "/v2/models/digits/versions/9", "model `digits` has no version `9` here"),
        ("POST", "/v2/models/dogs/infer", "no model `dogs`, this endpoint serves `digits`"),
        ("POST", "/v2/models/digits/versions/4/infer", "model `digits` has no version `4` here"),
    ],
)
def test_what_is_not_there_is_404(gateway, method: str, path: str, message: str) -> None:
    reply = gateway.ask(method, path)
    assert (reply.status, reply.json) == (404, {"error": message})


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("GET", "/predict", "POST"),
        ("PUT", "/predict", "POST"),
        ("GET", "/labels", "POST"),
        ("DELETE", "/labels", "POST"),
        ("POST", "/healthz", "GET"),
        ("POST", "/readyz", "GET"),
        ("POST", "/metrics", "GET"),
        ("POST", "/v2/health/live", "GET"),
        ("PUT", "/v2", "GET"),
        ("GET", INFER, "POST"),
        ("PATCH", "/v2/models/digits/versions/3/infer", "POST"),
    ],
)
def test_the_wrong_method_is_405_and_names_the_right_one(gateway, method: str, path: str, verb: str) -> None:
    reply = gateway.ask(method, path)
    assert (reply.status, reply.json) == (405, {"error": f"{path} takes {verb}, not {method}"})
    assert reply.headers["allow"] == verb


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/predict", b"x", "body: not JSON, invalid character (byte 0)"),
        ("/predict", {"row": [1, 2], "rows": []}, "expected either `rows` or `row`"),
        ("/predict", {"rows": [[1, 2, 3]] * 3}, "rows: 3 rows, expected 1 to 2"),
        ("/labels", {"labels": LABELS["labels"] * 3}, "labels: 3 labels, expected at most 2"),
        ("/labels", {"labels": [{"request": "r"}]}, "labels[0]: object missing required field `truth`"),
        (INFER, {"inputs": []}, "inputs: 0 tensors, expected at least one"),
        (INFER, b'{"later": ' + b"[" * 100_000, "body: nested too deep"),
    ],
)
def test_a_bad_body_is_400_and_leaves_no_trace(make_gateway, path: str, body, message: str) -> None:
    gateway = make_gateway(max_rows=2)
    reply = gateway.ask("POST", path, body)
    assert (reply.status, reply.json) == (400, {"error": message})
    assert gateway.writes == gateway.labels == gateway.model.calls == []


def test_a_binary_tensor_is_answered_in_binary(gateway) -> None:
    raw = struct.pack("<3d", 1, 2, 3)
    tensor = {"name": "input", "shape": [1, 3], "datatype": "FP64", "parameters": {"binary_data_size": 24}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    reply = gateway.ask("POST", INFER, head + raw, inference_header_content_length=str(len(head)))
    size = int(reply.headers["inference-header-content-length"])
    outputs = json.loads(reply.body[:size])["outputs"]
    assert [(one["name"], one["parameters"]) for one in outputs] == [
        ("predictions", {"binary_data_size": 5}),
        ("scores", {"binary_data_size": 12}),
    ]
    assert reply.body[size:] == struct.pack("<I", 1) + b"c" + struct.pack("<3f", 1, 2, 3)


def test_a_body_in_chunks_is_one_body(gateway) -> None:
    whole = json.dumps(ROW).encode()
    assert gateway.ask("POST", "/predict", [whole[:5], b"", whole[5:]]).json["predictions"] == ["c"]


def test_a_body_that_does_not_arrive_is_408(gateway, monkeypatch) -> None:
    monkeypatch.setattr(http, "BODY_S", 0.0)
    parts = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def stall() -> dict[str, object]:
        return next(parts, None) or await asyncio.Event().wait()

    for _ in range(2):
        reply = asyncio.run(gateway.call("POST", "/predict", {"content-length": "9"}, stall))
        assert (reply.status, reply.json) == (408, {"error": "the body did not arrive within 0 s"})
    assert BODY_S == 30.0


def test_a_body_that_breaks_off_is_refused_though_it_looks_whole(gateway) -> None:
    parts = iter(
        [
            {"type": "http.request", "body": json.dumps(LABELS).encode(), "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> dict[str, object]:
        return next(parts)

    reply = asyncio.run(gateway.call("POST", "/labels", {}, receive))
    message = "the client left before its whole body had arrived"
    assert (reply.status, reply.json) == (400, {"error": message})
    assert gateway.labels == []


@pytest.mark.parametrize("length", ["101", "9" * 30, "-1", "1e2"])
def test_a_length_above_the_limit_is_413_before_the_body_is_read(make_gateway, length: str) -> None:
    async def receive() -> dict[str, object]:
        raise AssertionError("read")

    gateway = make_gateway(max_body_bytes=100)
    reply = asyncio.run(gateway.call("POST", "/predict", {"content-length": length}, receive))
    assert (reply.status, reply.json) == (413, {"error": f"the body has {length} bytes, the limit is 100"})


@pytest.mark.parametrize(
    "chunks", [[b" " * 101], [b" " * 60, b" " * 60], [b" "] * 101], ids=["one", "two", "many"]
)
def test_chunks_above_the_limit_are_413(make_gateway, chunks: list[bytes]) -> None:
    reply = make_gateway(max_body_bytes=100).ask("POST", "/predict", chunks)
    message = "the body is larger than the limit of 100 bytes"
    assert (reply.status, reply.json) == (413, {"error": message})


def test_a_body_of_the_very_limit_is_read(make_gateway) -> None:
    body = json.dumps(ROW).encode().ljust(100)
    gateway = make_gateway(max_body_bytes=100)
    assert [
        gateway.ask("POST", "/predict", sent).status for sent in (body, [body], [body[:9], body[9:]])
    ] == [200] * 3


def test_a_failing_model_is_500_and_logged(gateway) -> None:
    reply = gateway.ask("POST", "/predict", POISON, x_request_id="r")
    assert (reply.status, reply.json) == (500, {"error": "model: cannot take 666"})
    assert "x-tidegate-role" not in reply.headers
    assert [(row.request, row.status, row.output) for row in gateway.rows] == [("r", 500, None)]


@pytest.mark.parametrize(("path", "body"), [("/predict", ROW), ("/labels", LABELS)])
@pytest.mark.parametrize("fault", [RuntimeError("no stamp"), CorruptError("x", "no stamp")])
def test_a_fault_of_ours_is_500_with_a_sentence_and_a_trace(gateway, capsys, path, body, fault) -> None:
    gateway.fault = fault
    reply = gateway.ask("POST", path, body, x_request_id="r")
    assert (reply.status, reply.headers["x-request-id"]) == (500, "r")
    assert reply.json == {"error": "internal error, see the log of the gateway"}
    assert "no stamp" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "body", "refused"),
    [
        ("/predict", ROW, {"row": [1]}),
        (
            INFER,
            {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}]},
            {"inputs": []},
        ),
    ],
)
def test_what_only_the_canary_refuses_is_logged_against_it(gateway, path, body, refused) -> None:
    gateway.start_canary(1.0)
    gateway.service.shapes[gateway.canary.digest] = make_shape(
        Contract("digits", tuple(Column(name, "number") for name in "abcd"))
    )
    assert gateway.ask("POST", path, body, x_request_id="r").status == 400
    (row,) = gateway.rows
    assert (row.request, row.unit, row.role, row.status, row.output) == ("r", "r", "canary", 400, None)
    assert gateway.ask("POST", path, refused).status == 400
    assert gateway.rows == [row], "stable would have refused that one as well"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/readyz"), ("GET", "/v2/health/ready"), ("GET", "/v2/models/digits"), ("POST", "/predict")],
)
def test_while_nothing_is_live_the_answer_is_503_and_try_again(gateway, method: str, path: str) -> None:
    gateway.engine.route = None
    reply = gateway.ask(method, path, ROW if method == "POST" else b"")
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert reply.json == {"error": "nothing is live yet"}
    assert gateway.ask("GET", "/healthz").status == 200


def test_an_overload_is_503_and_try_again(gateway, monkeypatch) -> None:
    monkeypatch.setattr(engines, "MAX_WAITING_ROWS", 1)

    async def ask():
        return await asyncio.gather(*(gateway.asking("POST", "/predict", ROW) for _ in range(2)))

    served, refused = asyncio.run(ask())
    assert (served.status, "retry-after" in served.headers) == (200, False)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json == {"error": "1 rows are waiting, try again in a second"}


def test_requests_that_arrive_together_are_one_batch(gateway) -> None:
    async def ask():
        return await asyncio.gather(*(gateway.asking("POST", "/predict", ROW) for _ in range(5)))

    assert [reply.status for reply in asyncio.run(ask())] == [200] * 5
    assert gateway.model.calls == [5]


def test_what_is_no_http_is_let_pass(gateway) -> None:
    async def never() -> None:
        raise AssertionError("touched")

    asyncio.run(gateway.app({"type": "lifespan"}, never, never))


VALID = [
    json.dumps(body).encode()
    for body in (
        {"rows": [[1, 2.5, None], {"a": 1, "b": 2}]},
        LABELS,
        {"id": "i", "inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]},
        {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP64", "data": [[1, 2, 3]]}]},
    )
]
KEYS = st.sampled_from(
    ["rows", "row", "labels", "request", "truth", "inputs", "name", "shape", "datatype", "data", "a", "id"]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["input", "FP64", 3, 1, 10**40, -(10**400), "scores"])
)
TREES = st.recursive(
    LEAVES, lambda part: st.lists(part, max_size=4) | st.dictionaries(KEYS, part, max_size=4)
)


@st.composite
def mutants(draw) -> bytes:
    """A body that was right before some of its bytes were replaced."""
    body = draw(st.sampled_from(VALID))
    start = draw(st.integers(0, len(body)))
    return body[:start] + draw(st.binary(max_size=4)) + body[start + draw(st.integers(0, 4)) :]


@pytest.mark.parametrize(("path", "good"), [("/predict", 200), ("/labels", 202), (INFER, 200)])
@LAW
@given(st.binary() | TREES.map(lambda tree: json.dumps(tree).encode()) | mutants())
def test_any_bytes_are_answered_or_refused_and_never_a_fault(shared_gateway, path, good, body: bytes) -> None:
    reply = shared_gateway.ask("POST", path, body)
    assert reply.status in (good, 400)
    assert isinstance(reply.json, dict)
    assert reply.status == good or reply.json["error"]


def counted(gateway) -> dict[tuple[str, str, str], float]:
    """How many replies the metrics count by path, status and role."""
    reply = gateway.ask("GET", "/metrics")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = text_string_to_metric_families(reply.body.decode())
    found = [sample for family in families for sample in family.samples]
    return {
        (one.labels["path"], one.labels["status"], one.labels["role"]): one.value
        for one in found
        if one.name == "tidegate_request_duration_seconds_count"
    }


def test_the_metrics_count_what_was_sent(gateway, tensor) -> None:
    gateway.start_canary(0.5)
    roles = Counter(
        gateway.ask("POST", "/predict", ROW, x_user=str(number)).headers["x-tidegate-role"]
        for number in range(20)
    )
    sent = [
        ("POST", "/v2/models/digits/versions/4/infer", tensor([1, 2, 3])),
        ("POST", "/labels", LABELS),
        ("POST", "/predict", b""),
        ("POST", "/predict", POISON),
        ("GET", "/nothing", b""),
        ("GET", "/elsewhere", b""),
        ("GET", "/healthz", b""),
        ("GET", "//healthz//", b""),
        ("GET", "/v2/models/digits", b""),
        ("GET", "/metrics", b""),
    ]
    for method, path, body in sent:
        gateway.ask(method, path, body)
    assert counted(gateway) == {
        ("/predict", "200", "stable"): roles["stable"],
        ("/predict", "200", "canary"): roles["canary"],
        ("/v2/models/infer", "200", "canary"): 1,
        ("/labels", "202", ""): 1,
        ("refused", "400", ""): 1,
        ("refused", "500", ""): 1,
        ("refused", "404", ""): 2,
        ("/healthz", "200", ""): 2,
        ("/v2/models", "200", ""): 1,
        ("/metrics", "200", ""): 1,
    }


@pytest.fixture
def bounded(gateway):
    """A gateway whose contract rejects `a` above 9 and flags `b` above 9."""
    limits = (Check("range", Range(0, 9)),)
    columns = (
        Column("a", "number", checks=limits),
        Column("b", "number", checks=limits, flags=frozenset({"range"})),
        Column("c", "number", is_required=False),
    )
    gateway.service.shapes[gateway.model.digest] = make_shape(Contract("digits", columns))
    return gateway


def test_a_row_that_breaks_the_contract_is_refused_with_all_that_is_wrong(bounded) -> None:
    reply = bounded.ask("POST", "/predict", {"rows": [[1, 2, 3], {"a": 10, "b": 10, "x": 1}]})
    listed = [
        "rows[1].x: unknown column, expected only declared ones",
        "rows[1].a: is 10.0, expected 0 to 9",
    ]
    assert (reply.status, reply.json) == (400, {"error": f"{listed[0]} (and 1 more)", "violations": listed})
    assert bounded.rows == []


def test_a_refused_row_harms_no_neighbor_of_its_batch(bounded) -> None:
    async def ask():
        rows = [[1, 2, 3], [10, 2, 3], [2, 1, 3]]
        return await asyncio.gather(*(bounded.asking("POST", "/predict", {"row": row}) for row in rows))

    assert [reply.status for reply in asyncio.run(ask())] == [200, 400, 200]
    assert bounded.model.calls == [2]


def test_a_flagged_row_is_answered_and_marked_in_the_log(bounded, tensor) -> None:
    reply = bounded.ask("POST", "/predict", {"rows": [[1, 2, 3], [1, 10, 3]]})
    assert (reply.status, reply.json["predictions"]) == (200, ["c", "b"])
    assert bounded.ask("POST", INFER, tensor([1, 10, 3])).status == 200
    assert [row.flags for row in bounded.rows] == [(), ("b range",), ("b range",)]


def test_violations_are_counted_without_the_names_that_clients_make_up(bounded) -> None:
    for name in ("x", "y", "z"):
        bounded.ask("POST", "/predict", {"row": {"a": 1, "b": 1, name: 1}})
    bounded.ask("POST", "/predict", {"rows": [[1, 10, 3], [1, 11, 3]]})
    text = bounded.ask("GET", "/metrics").body.decode()
    found = {
        (one.labels["rule"], one.labels["column"], one.labels["policy"]): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name == "tidegate_contract_violations_total"
    }
    assert found == {("unknown", "", "reject"): 3, ("range", "b", "flag"): 2}
