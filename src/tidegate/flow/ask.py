"""Asking one's own endpoint: rows of a table or one row of JSON, over HTTP like everybody else."""

import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tidegate.data.tables import Table, read_table
from tidegate.errors import UnavailableError, UsageError
from tidegate.flow.endpoint import Address, connect, endpoint_of, key_headers
from tidegate.project import Config, load_config

TIMEOUT_S = 60.0


def predict_row(root: Path, text: str) -> dict[str, Any]:
    """The endpoint's reply to one row in JSON, with `rows` naming it; UsageError when it refuses."""
    config = load_config(root)
    try:
        row = json.loads(text)
    except ValueError as error:
        raise UsageError("--row", f"not JSON, {error}", hint='--row "[1.5, 0]"') from None
    return {"rows": ["row"], **_predict(endpoint_of(root, config), [row])}


def predict_table(root: Path, path: Path, *, first: int | None = None) -> dict[str, Any]:
    """The replies to the rows of a table, joined; `rows` holds their ids, or their numbers from 1."""
    config = load_config(root)
    table = read_table(path)
    rows = _objects(config, table)[:first]
    if not rows:
        raise UsageError(path.name, "no rows, there is nothing to ask")
    address, size = endpoint_of(root, config), config.serve.max_rows
    replies = [_predict(address, rows[at : at + size]) for at in range(0, len(rows), size)]
    names = table.values.get(config.data.id, range(1, len(table) + 1))
    joined = {
        key: [one for reply in replies for one in reply[key]] for key in ("ids", "predictions", "scores")
    }
    last = {"release": replies[-1]["release"], "bundle": replies[-1]["bundle"]}
    return {"rows": [str(name) for name in names][: len(rows)], **joined, **last}


def _objects(config: Config, table: Table) -> list[dict[str, Any]]:
    names = [name for name in table.columns if name not in (config.data.id, config.data.label)]
    columns = [table.values[name] for name in names]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _predict(address: Address, rows: Sequence[Any]) -> dict[str, Any]:
    status, reply = post(address, "/predict", {"rows": rows})
    if status == 503:
        raise UnavailableError(address.url, str(reply.get("error", "not ready")), hint="tidegate ps")
    if status != 200:
        raise UsageError(f"POST {address.url}/predict", str(reply.get("error", status)))
    return reply


def post(address: Address, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON body of a reply; UnavailableError when nothing answers."""
    connection = connect(address, TIMEOUT_S)
    try:
        headers = {"content-type": "application/json", **key_headers()}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnavailableError(address.url, f"nothing answers here, {error}", hint="tidegate up") from None
    finally:
        connection.close()
