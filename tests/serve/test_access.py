"""Keys of the gateway's clients: no key, a wrong one, one without the role, one that asks too often."""

import asyncio
import hashlib

import pytest

from tidegate.domain import AccessKey
from tidegate.serve.access import Access, DeniedError, bearer, role_of

ROW = {"row": [1, 2, 3]}
APP, TRUTH, ROOT = "tg_app", "tg_truth", "tg_root"


def key(name: str, token: str, *roles: str, rate: float | None = None) -> AccessKey:
    return AccessKey(name, hashlib.sha256(token.encode()).hexdigest(), roles, rate, 0.0)


KEYS = (key("app", APP, "predict"), key("truth", TRUTH, "label"), key("root", ROOT, "predict", "operate"))


@pytest.fixture
def closed(gateway):
    """A gateway that asks for keys."""
    gateway.service.access = Access(KEYS)
    return gateway


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer ", "Bearer tg_other", f"Basic {APP}", "Bearer \xff"])
def test_without_a_known_key_nothing_is_answered(closed, token: str) -> None:
    reply = closed.ask("POST", "/predict", ROW, authorization=token)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert reply.json == {"error": "no such key, send `authorization: Bearer KEY`"}
    assert closed.rows == []


@pytest.mark.parametrize("header", [{"authorization": f"bearer {APP}"}, {"x_api_key": APP}])
def test_a_key_with_the_role_is_answered(closed, header) -> None:
    assert closed.ask("POST", "/predict", ROW, **header).status == 200


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        (APP, "POST", "/labels", 403),
        (APP, "GET", "/metrics", 403),
        (APP, "POST", "/v2/repository/index", 403),
        (APP, "GET", "/v2/models/digits", 200),
        (TRUTH, "POST", "/predict", 403),
        (TRUTH, "GET", "/v2/models/digits", 403),
        (ROOT, "GET", "/metrics", 200),
        (ROOT, "POST", "/v2/repository/index", 200),
    ],
)
def test_a_key_does_what_its_roles_allow(closed, token, method, path, status: int) -> None:
    assert closed.ask(method, path, b"", authorization=f"Bearer {token}").status == status


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/ping"])
def test_health_is_told_to_everybody(closed, path: str) -> None:
    assert closed.ask("GET", path).status == 200


def test_a_key_that_asks_too_often_is_told_to_wait() -> None:
    access = Access([key("app", APP, "predict", rate=2)])
    access.check(APP, "predict", now=0.0)
    access.check(APP, "predict", now=0.0)
    with pytest.raises(DeniedError, match="key `app` asks more than 2 times a second") as caught:
        access.check(APP, "predict", now=0.4)
    assert caught.value.status == 429
    access.check(APP, "predict", now=0.6)


@pytest.mark.parametrize(("share", "low", "high"), [(1.0, 100, 111), (0.5, 50, 56)])
def test_over_ten_seconds_a_key_gets_its_rate_and_a_worker_its_share(share, low, high) -> None:
    access, taken = Access([key("app", APP, "predict", rate=10)], share=share), 0
    for tick in range(1000):
        try:
            access.check(APP, "predict", now=tick / 100)
        except DeniedError:
            continue
        taken += 1
    assert low <= taken <= high


def test_a_revoked_key_is_refused_at_once(closed) -> None:
    closed.service.access.keys = KEYS[1:]
    assert closed.ask("POST", "/predict", ROW, authorization=f"Bearer {APP}").status == 401


def test_no_keys_at_all_let_nobody_in(closed) -> None:
    closed.service.access.keys = ()
    assert closed.ask("POST", "/predict", ROW, authorization=f"Bearer {APP}").status == 401


def test_every_route_but_health_needs_a_role() -> None:
    assert role_of(["healthz"]) is None
    assert role_of(["no", "such", "path"]) == "predict"


def test_only_a_bearer_is_a_token() -> None:
    assert (bearer("BEARER x "), bearer("Basic x"), bearer("")) == ("x", "", "")


async def unread() -> dict[str, object]:
    """Nobody may ask for this body."""
    pytest.fail("the body was read")


@pytest.mark.parametrize(
    ("token", "path", "status"), [("", "/predict", 401), (APP, "/labels", 403), ("", "/nowhere", 404)]
)
def test_an_asgi_server_is_not_asked_for_a_body_that_is_denied(closed, token, path, status: int) -> None:
    headers = {"content-length": "1000", "authorization": f"Bearer {token}", "x-request-id": "r-1"}
    reply = asyncio.run(closed.call("POST", path, headers, unread))
    assert (reply.status, reply.headers["x-request-id"]) == (status, "r-1")
    assert b'path="refused"' in closed.service.metrics.render()


def test_over_asgi_a_token_lets_one_request_through(closed) -> None:
    closed.service.access = Access([key("app", APP, "predict", rate=0.001)])
    found = [closed.ask("POST", "/predict", ROW, authorization=f"Bearer {APP}") for _ in range(2)]
    assert [reply.status for reply in found] == [200, 429]
    assert found[-1].headers["retry-after"] == "1"
