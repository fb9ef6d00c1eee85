"""Where the program starts: what can be answered without importing anything is answered here."""

import os
import sys

from tidegate import __version__

_QUIET = {"-q", "--quiet"}
# by command: the option sets that a clean pipeline answers without a further look
_QUICK = {
    "repro": ({"--json"}, set[str]()),
    "status": ({"--json"}, _QUIET, set[str]()),
}
FRESH = "everything is up to date"


def main() -> None:
    """Run the command line and exit with its stable code."""
    words = sys.argv[1:]
    try:
        is_done = answer(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output went away, as in `tidegate repro | head`
        is_done = True
    if is_done:
        # tearing the interpreter down takes longer than the answer did
        os._exit(0)
    from tidegate.cli.main import main as run

    run(words)


def answer(words: list[str]) -> bool:
    """Answer the version, and a command about a pipeline unchanged since it was last found clean; else do nothing."""
    if words == ["--version"]:
        sys.stdout.write(f"tidegate, version {__version__}\n")
        return True
    if not words or not any(set(words[1:]) <= options for options in _QUICK.get(words[0], ())):
        return False
    from tidegate.pipeline.quick import clean_stages

    stages = clean_stages(os.getcwd(), whole=words[0] == "status")  # noqa: PTH109 -- pathlib would cost as much as all of this
    if stages is None:
        return False
    text = _status(stages, words) if words[0] == "status" else _repro(stages, words)
    sys.stdout.write(text)
    return True


def skipped(stage: str) -> str:
    """What is said of a stage to which nothing happens."""
    return f"{stage:<16} skipped: nothing changed"


def fresh(count: int) -> str:
    """What is said of a pipeline in which nothing changed."""
    return f"all {count} stages are up to date"


def _status(stages: list[str], words: list[str]) -> str:
    if "--json" in words:
        return "{}\n"
    return "" if _QUIET & set(words) else f"{fresh(len(stages))}\n"


def _repro(stages: list[str], words: list[str]) -> str:
    if "--json" in words:
        import json

        steps = [{"stage": stage, "action": "skipped", "seconds": 0.0, "reasons": []} for stage in stages]
        return json.dumps({"run": None, "stages": steps}, indent=2, ensure_ascii=False) + "\n"
    return "".join(f"{line}\n" for line in (*map(skipped, stages), FRESH))
