"""Where the project begins. This runs before anything else, so it imports next to nothing."""

import os


def project_root(start: str) -> str | None:
    """The nearest directory, at or above `start`, that holds `.dvc`, else tidegate.toml, else dvc.yaml."""
    folders = [start]
    while folders[-1] != os.path.dirname(folders[-1]):  # noqa: PTH120
        folders.append(os.path.dirname(folders[-1]))  # noqa: PTH120
    for mark in (".dvc", "tidegate.toml", "dvc.yaml"):
        for folder in folders:
            path = f"{folder}/{mark}"
            if os.path.isdir(path) if mark == ".dvc" else os.path.exists(path):  # noqa: PTH110, PTH112
                return folder
    return None
