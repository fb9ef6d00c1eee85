"""A pull or merge request on the host of the code, and its comments."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from tidegate.errors import UnavailableError
from tidegate.flow.web import Api, Reply

PAGES = 50  # of 100 comments: more than either host allows


class Comment(NamedTuple):
    """A comment; numbers grow with time."""

    number: int
    author: str
    body: str
    url: str


class Forge(NamedTuple):
    """One pull or merge request, and how its host is spoken to about comments.

    `comments` and `single` are paths, `edit` is a method, `read` takes a comment as the host writes it and
    `write` escapes what the host would act on; `limit` is the most characters that a comment may have.
    `author` is who we are, "" when the host does not say.
    """

    api: Api
    comments: str
    single: str
    edit: str
    read: Callable[[object], Comment]
    limit: int
    denied: str
    author: str = ""
    write: Callable[[str], str] = str


def list_comments(forge: Forge) -> list[Comment]:
    """Every comment, oldest first."""
    found: dict[int, Comment] = {}
    for page in range(1, PAGES + 1):
        query = f"per_page=100&page={page}&sort=asc&order_by=created_at"
        reply = forge.api.ask("GET", f"{forge.comments}?{query}")
        found |= {one.number: one for one in _read(forge, reply, 200)}
        if not _is_followed(reply):
            return [found[number] for number in sorted(found)]
    raise UnavailableError(forge.api.host, f"more than {100 * PAGES:,} comments, expected fewer")


def create_comment(forge: Forge, text: str) -> Comment:
    """A new comment."""
    reply = forge.api.ask("POST", forge.comments, {"body": text})
    return _read(forge, reply, 201)[0]


def update_comment(forge: Forge, number: int, text: str) -> bool:
    """Put the text in the place of a comment's; False when that is gone or not ours to change."""
    reply = forge.api.ask(forge.edit, f"{forge.single}/{number}", {"body": text})
    if reply.status in (403, 404, 410):
        return False
    _read(forge, reply, 200)
    return True


def delete_comment(forge: Forge, number: int) -> None:
    """Remove a comment; one that stays, for whatever reason, is removed by the next job."""
    forge.api.ask("DELETE", f"{forge.single}/{number}")


def read_token(environ: Mapping[str, str], names: tuple[str, ...], *, hint: str) -> str:
    """The first token that is set. Raises UnavailableError without showing any part of one."""
    name = next((name for name in names if environ.get(name, "").strip()), "")
    if not name:
        raise UnavailableError(names[0], "not set, expected a token that may comment", hint=hint)
    token = environ[name].strip()
    if not re.fullmatch(r"[!-~]+", token):
        raise UnavailableError(name, "has a space or line end in it, expected one word", hint=hint)
    return token


def read_address(environ: Mapping[str, str], name: str, otherwise: str) -> str:
    """The address of an API, without a slash at its end."""
    text = environ.get(name) or otherwise
    if not re.fullmatch(r"https?://[^\s@/?#]+(/[^\s@?#]*)?", text):
        raise UnavailableError(name, "no address, expected one such as https://code.example.com/api/v4")
    return text.rstrip("/")


def _read(forge: Forge, reply: Reply, status: int) -> list[Comment]:
    if reply.status != status:
        raise forge.api.refusal(reply, denied=forge.denied)
    try:
        found = msgspec.json.decode(reply.body)
        return [forge.read(one) for one in (found if isinstance(found, list) else [found])]
    except msgspec.DecodeError:
        message = "the answer is no comment in JSON, expected the API of the code's host"
        raise UnavailableError(forge.api.host, message, hint="look for a proxy in between") from None


def _is_followed(reply: Reply) -> bool:
    """Whether there is another page; its address is not taken from the reply but made here."""
    return bool(reply.headers.get("X-Next-Page")) or 'rel="next"' in reply.headers.get("Link", "")
