"""The OpenAPI document tells what answers, and how; the page says the same to people."""

import pytest
from msgspec.structs import replace

from tidegate.serve.access import Access
from tidegate.serve.openapi import describe, render_openapi, render_page


@pytest.fixture
def document(gateway):
    return render_openapi(gateway.service.live(), gateway.service.shapes)


def test_names_and_versions_are_those_that_answer(gateway) -> None:
    gateway.start_canary(0.5)
    found = render_openapi(gateway.service.live(), gateway.service.shapes)
    path = found["paths"]["/v2/models/{name}/versions/{version}/infer"]["post"]
    known = {one["name"]: one["schema"].get("enum") for one in path["parameters"] if one["in"] == "path"}
    assert known == {"name": ["digits"], "version": ["3", "4"]}
    tensor = path["requestBody"]["content"]["application/json"]["schema"]["properties"]["inputs"]["items"][
        "anyOf"
    ][0]
    assert tensor["properties"]["name"] == {"const": "input"}


def test_every_refusal_is_an_error_with_its_status(document) -> None:
    responses = document["paths"]["/predict"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "415", "500", "503", "504"}
    assert responses["503"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_without_keys_nothing_is_said_about_them(document) -> None:
    assert "security" not in document
    assert "securitySchemes" not in document["components"]


def test_with_keys_the_document_asks_for_them_but_for_health(gateway) -> None:
    gateway.service.access = Access(())
    assert gateway.ask("GET", "/v2/openapi.json").status == 401
    found = render_openapi(gateway.service.live(), gateway.service.shapes, has_keys=True)
    assert set(found["components"]["securitySchemes"]) == {"bearer", "key"}
    assert {"401", "403", "429"} <= set(found["paths"]["/predict"]["post"]["responses"])
    assert set(found["paths"]["/v2/health/live"]["get"]["responses"]) == {"200"}


@pytest.mark.parametrize("one", describe({}), ids=lambda one: f"{one.method} {one.path}")
def test_every_route_of_the_document_is_known_to_the_front(gateway, one) -> None:
    path = one.path.format(name="digits", version="3")
    reply = gateway.ask(one.method.upper(), path, b"" if one.is_optional or one.body is None else {})
    assert reply.status == one.success or reply.status in one.statuses
    assert reply.status != 404
    assert reply.headers["content-type"].startswith(
        one.content if reply.status == one.success else "application/json"
    )


def test_the_page_lists_every_route_and_escapes_names(gateway) -> None:
    route = replace(gateway.service.live(), endpoint="<b>")
    page = render_page(route)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert all(f"<code>{one.path}</code>" in page for one in describe({}))
