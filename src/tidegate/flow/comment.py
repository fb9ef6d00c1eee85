"""One comment on the pull or merge request of a CI job, made once and kept up to date."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tidegate.flow.forge import (
    Comment,
    Forge,
    create_comment,
    delete_comment,
    list_comments,
    update_comment,
)
from tidegate.flow.github import github
from tidegate.flow.gitlab import gitlab
from tidegate.flow.web import PATIENT, Patience
from tidegate.project import load_config

MOST_SUMMARY_BYTES = 1 << 20
ROOM_FOR_THE_END = 1_000
CUT = (
    "**Cut here**, the host of the code takes no longer comments: {left:,} more characters are in the report."
)


def comment(root: Path, markdown: str, *, patience: Patience = PATIENT) -> str:
    """Put the report where the CI job's reviewers are; returns the comment's URL.

    "" when the job runs for no pull or merge request, or on no CI system that is known: what is left then is
    the page of the job, on GitHub Actions. Raises UnavailableError when there is one and it cannot be reached.
    """
    name = load_config(root).project.name
    text = markdown.replace("\0", "").encode(errors="replace").decode()
    summarize(text)
    forge = github(os.environ, patience) or gitlab(os.environ, patience)
    return stick(forge, text, name=name) if forge else ""


def stick(forge: Forge, markdown: str, *, name: str) -> str:
    """Write our comment about the project `name`, or create it; whatever else happens, one is left.

    Only a comment that we wrote counts: anybody may write our mark into one of theirs. Of two jobs that both
    created one, each looks again and keeps the older one.
    """
    mark = f"<!-- tidegate:{name} -->"
    text = f"{mark}\n\n{cut(forge.write(markdown), forge.limit - len(mark) - 2)}"
    ours = _ours(forge, mark)
    kept = _rewritten(forge, ours, text)
    if kept is None:
        made = create_comment(forge, text)
        ours = _ours(forge._replace(author=made.author), mark)
        older = [one for one in ours if one.number < made.number]
        kept = _rewritten(forge, older, text) or made
    for one in ours:
        if one.number != kept.number:
            delete_comment(forge, one.number)
    return kept.url


def cut(text: str, limit: int) -> str:
    """The text as far as it fits, up to the end of a line; what is open there is closed."""
    if len(text) <= limit:
        return text
    most = limit - ROOM_FOR_THE_END
    kept = text[: text.rfind("\n", 0, most) + 1] or text[:most]
    fences = sum(line.lstrip().startswith("```") for line in kept.splitlines())
    ends = ["```"] * (fences % 2) + ["</details>"] * (kept.count("<details") - kept.count("</details>"))
    return "\n".join([kept, *ends, "", CUT.format(left=len(text) - len(kept)), ""])


def summarize(markdown: str) -> None:
    """Append to the summary of a step of GitHub Actions, where there is one and it has room."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    data = f"{markdown}\n".encode()
    # a courtesy: a page that cannot be written must not cost the comment
    with suppress(OSError), Path(path).open("ab") as file:
        if file.tell() + len(data) <= MOST_SUMMARY_BYTES:
            file.write(data)


def _ours(forge: Forge, mark: str) -> list[Comment]:
    return [
        one
        for one in list_comments(forge)
        if forge.author and one.author == forge.author and one.body.startswith(mark)
    ]


def _rewritten(forge: Forge, comments: Iterable[Comment], text: str) -> Comment | None:
    return next((one for one in comments if update_comment(forge, one.number, text)), None)
