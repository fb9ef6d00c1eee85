"""Runs under DVC's own Python: answers a line of JSON for each line, so that DVC is imported once.

`{"root": ..., "verb": "status"}` gives DVC's status, `{"verb": "repro"}` runs every pipeline.
"""

import contextlib
import io
import json
import os
import sys
from typing import Any


def reproduce(repo: Any) -> str | None:
    """What went wrong, or None."""
    try:
        repo.reproduce(all_pipelines=True)
    except Exception as error:
        # whatever it is, dvc's own command line would end with it as well
        return repr(error)
    return None


def main() -> None:
    """Answer until the input ends."""
    from dvc.repo import Repo

    real = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        asked = json.loads(line)
        os.chdir(asked["root"])
        with contextlib.redirect_stdout(io.StringIO()), Repo(asked["root"]) as repo:
            found = (
                repo.status() if asked["verb"] == "status" else repo.reproduce(all_pipelines=True) and None
            )
        real.write(json.dumps(found) + "\n")
        real.flush()


main()
