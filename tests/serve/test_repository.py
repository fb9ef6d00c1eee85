"""The repository extension: it tells every version, and steers nothing."""

import pytest

from tidegate.errors import NotFoundError, UsageError
from tidegate.serve.repository import list_versions, load_named, parse_index, parse_load, unload_named
from tidegate.serve.service import Version

VERSIONS = (Version(4, True), Version(3, True), Version(2, False, "not released"))


@pytest.fixture
def service(gateway):
    gateway.service.versions = VERSIONS
    return gateway.service


@pytest.mark.parametrize(
    ("body", "only_ready"), [(b"", False), (b" \n", False), (b"{}", False), (b'{"ready": true}', True)]
)
def test_the_body_of_an_index_may_be_empty(body: bytes, only_ready: bool) -> None:
    assert parse_index(body) is only_ready


@pytest.mark.parametrize("body", [b"[]", b'{"ready": 1}', b"{"])
def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    for parse in (parse_index, parse_load):
        with pytest.raises(UsageError):
            parse(b'{"parameters": 1}' if parse is parse_load and b"ready" in body else body)


def test_every_version_is_listed_and_only_the_ready_ones_on_request(service) -> None:
    every = list_versions(service, only_ready=False)
    assert every[2] == {"name": "digits", "version": "2", "state": "UNAVAILABLE", "reason": "not released"}
    assert [one["state"] for one in every] == ["READY", "READY", "UNAVAILABLE"]
    assert list_versions(service, only_ready=True) == every[:2]


def test_what_is_live_is_loaded_and_stays(service) -> None:
    load_named(service, "digits", {})
    with pytest.raises(UsageError, match="`digits` is live"):
        unload_named(service, "digits")
    with pytest.raises(UsageError, match="as it was released"):
        load_named(service, "digits", {"config": "{}"})
    for ask in (lambda: load_named(service, "dogs", {}), lambda: unload_named(service, "dogs")):
        with pytest.raises(NotFoundError, match="no model `dogs`"):
            ask()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("index", b"", 200),
        ("models/digits/load", b"", 200),
        ("models/digits/load", {"parameters": {"config": "{}"}}, 400),
        ("models/dogs/load", b"", 404),
        ("models/digits/unload", b"", 400),
        ("models/digits/reload", b"", 404),
        ("models", b"", 404),
    ],
)
def test_the_routes_answer(gateway, path: str, body: object, status: int) -> None:
    assert gateway.ask("POST", f"/v2/repository/{path}", body).status == status
