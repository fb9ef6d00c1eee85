"""The pull request that a job of GitHub Actions runs for."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tidegate.flow.forge import Comment, Forge, read_address, read_token
from tidegate.flow.web import Api, Patience

MOST_CHARACTERS = 65_536
SET_ONE = "env: GITHUB_TOKEN: ${{ github.token }}"
DENIED = "`permissions: pull-requests: write` for the job; a fork's pull request has no such token"
MERGE_REF = re.compile(r"refs/pull/(\d+)/(?:merge|head)")


class _User(msgspec.Struct):
    login: str


class _Written(msgspec.Struct):
    id: int
    html_url: str
    body: str | None = None
    user: _User | None = None


def github(environ: Mapping[str, str], patience: Patience) -> Forge | None:
    """Where the report belongs; None when the job runs for no pull request, or elsewhere."""
    repository, number = environ.get("GITHUB_REPOSITORY", ""), pull_number(environ)
    if not number or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        return None
    base = read_address(environ, "GITHUB_API_URL", "https://api.github.com")
    api = Api(base, read_token(environ, ("GITHUB_TOKEN",), hint=SET_ONE), patience)
    return Forge(
        api,
        comments=f"repos/{repository}/issues/{number}/comments",
        single=f"repos/{repository}/issues/comments",
        edit="PATCH",
        read=_read,
        limit=MOST_CHARACTERS,
        denied=DENIED,
        author=_viewer(api, "../graphql" if base.endswith("/api/v3") else "graphql"),
    )


def pull_number(environ: Mapping[str, str]) -> int:
    """The number of the pull request, by the event or else by the ref that is built; 0 without one."""
    named = MERGE_REF.fullmatch(environ.get("GITHUB_REF", ""))
    return _number(environ.get("GITHUB_EVENT_PATH", "")) or (int(named[1]) if named else 0)


def _number(path: str) -> int:
    """What the event is about: a pull request, or a comment on one."""
    try:
        event = msgspec.json.decode(Path(path).read_bytes(), type=_Event) if path else _Event()
    except (OSError, msgspec.DecodeError):
        return 0
    about = event.pull_request or (event.issue if event.issue and event.issue.pull_request else None)
    return about.number if about else 0


class _Subject(msgspec.Struct):
    number: int
    pull_request: dict[str, Any] | None = None


class _Event(msgspec.Struct):
    pull_request: _Subject | None = None
    issue: _Subject | None = None


class _Viewer(msgspec.Struct):
    login: str


class _Data(msgspec.Struct):
    viewer: _Viewer


class _Told(msgspec.Struct):
    data: _Data


def _viewer(api: Api, path: str) -> str:
    """Whose token it is: of a job's own only GraphQL tells."""
    reply = api.ask("POST", path, {"query": "query { viewer { login } }"})
    try:
        return msgspec.json.decode(reply.body, type=_Told).data.viewer.login
    except msgspec.DecodeError:
        return "github-actions[bot]"


def _read(value: object) -> Comment:
    one = msgspec.convert(value, _Written)
    return Comment(one.id, one.user.login if one.user else "", one.body or "", one.html_url)
