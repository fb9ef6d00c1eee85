"""The description of the HTTP front for machines (OpenAPI 3.1) and a page that shows it."""

from typing import Any

from tidegate import __version__
from tidegate.serve.route import Route

PAGE = "<!doctype html><title>tidegate</title>"


def render_openapi(route: Route) -> dict[str, Any]:
    """The document of what is live."""
    return {"openapi": "3.1.0", "info": {"title": route.endpoint, "version": __version__}, "paths": {}}
