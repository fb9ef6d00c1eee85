"""The model repository extension: what is served follows the releases, so it can be read but not steered here.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.errors import UsageError
from tidegate.serve.parse import decode
from tidegate.serve.service import Service


class IndexBody(msgspec.Struct):
    """The body of a request for the index, which may be empty."""

    ready: bool = False


class LoadBody(msgspec.Struct):
    """The body of a request to load a model, which may be empty."""

    parameters: dict[str, Any] = {}


_load = msgspec.json.Decoder(LoadBody)
_index = msgspec.json.Decoder(IndexBody)


def parse_index(body: bytes) -> bool:
    """Whether only what is ready is asked for."""
    ready: bool = decode(_index, body).ready if body.strip() else False
    return ready


def list_versions(service: Service, *, only_ready: bool) -> list[dict[str, Any]]:
    """Every version of the endpoint's model, and whether it answers."""
    name = service.live().endpoint
    return [
        {
            "name": name,
            "version": str(one.version),
            "state": "READY" if one.is_ready else "UNAVAILABLE",
            "reason": one.reason,
        }
        for one in service.versions
        if one.is_ready or not only_ready
    ]


def parse_load(body: bytes) -> dict[str, Any]:
    """The parameters of a request to load a model."""
    found: dict[str, Any] = decode(_load, body).parameters if body.strip() else {}
    return found


def load_named(service: Service, name: str, parameters: Mapping[str, Any]) -> None:
    """Nothing to do for what is live, which is loaded.

    Raises NotFoundError for anything else, UsageError for parameters, which would change the model.
    """
    service.named(name)
    if parameters:
        raise UsageError("parameters", "is not supported, a bundle is served as it was released")


def unload_named(service: Service, name: str) -> None:
    """Raise UsageError: what is live is not unloaded by a client; NotFoundError for what is not here."""
    service.named(name)
    raise UsageError("", f"model `{name}` is live, `tidegate rollback` or a release changes what is served")
