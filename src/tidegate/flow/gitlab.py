"""The merge request that a job of GitLab CI runs for."""

import re
from collections.abc import Mapping
from functools import partial

import msgspec

from tidegate.flow.forge import Comment, Forge, read_address, read_token
from tidegate.flow.web import Api, Patience

MOST_CHARACTERS = 1_000_000
TOKENS = ("TIDEGATE_GITLAB_TOKEN", "GITLAB_TOKEN")
SET_ONE = "set a project access token with scope `api` as a masked variable; CI_JOB_TOKEN cannot write notes"
DENIED = "the token needs the scope `api` and at least the role Reporter in the project"
COMMAND = re.compile(r"^([ \t]*)/(?=[a-z])", flags=re.MULTILINE)


class _Author(msgspec.Struct):
    username: str = ""


class _Note(msgspec.Struct):
    id: int
    body: str = ""
    author: _Author | None = None


def gitlab(environ: Mapping[str, str], patience: Patience) -> Forge | None:
    """Where the report belongs; None when the job runs for no merge request, or elsewhere."""
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    # the pipeline of a fork runs in the fork, the merge request lies in the other project
    project = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or environ.get("CI_PROJECT_ID", "")
    if not number.isdecimal() or not project.isdecimal():
        return None
    base = read_address(environ, "CI_API_V4_URL", "")
    api = Api(base, read_token(environ, TOKENS, hint=SET_ONE), patience)
    site = environ.get("CI_MERGE_REQUEST_PROJECT_URL") or environ.get("CI_PROJECT_URL", "")
    notes = f"projects/{project}/merge_requests/{number}/notes"
    return Forge(
        api,
        comments=notes,
        single=notes,
        edit="PUT",
        read=partial(_read, f"{site}/-/merge_requests/{number}"),
        limit=MOST_CHARACTERS,
        denied=DENIED,
        author=_owner(api),
        write=without_commands,
    )


def without_commands(text: str) -> str:
    """The text with no line that GitLab takes for an order, such as `/merge`; it reads as before."""
    return COMMAND.sub(r"\1&#47;", text)


def _owner(api: Api) -> str:
    """Whose token it is, "" when nobody says."""
    try:
        return msgspec.json.decode(api.ask("GET", "user").body, type=_Author).username
    except msgspec.DecodeError:
        return ""


def _read(page: str, value: object) -> Comment:
    one = msgspec.convert(value, _Note)
    return Comment(one.id, one.author.username if one.author else "", one.body, f"{page}#note_{one.id}")
