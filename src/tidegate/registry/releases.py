"""What the state says about versions and releases."""

from tidegate.store.state import State


def next_version(state: State) -> int:
    """The number of the next model version, from 1."""
    return max((version.version for version in state.versions), default=0) + 1


def previous_bundle(state: State) -> str | None:
    """The bundle to go back to from the live one; None when nothing came before it.

    That is what the live release took over from; after a rollback, what came before the release that it
    restored, so that rolling back twice goes back two steps and never forward.
    """
    path: list[str] = []
    for release in state.releases:
        if release.bundle in path:
            del path[path.index(release.bundle) :]
        path.append(release.bundle)
    return path[-2] if len(path) > 1 else None
