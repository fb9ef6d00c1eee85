"""What a single stage needs from the remotes of the project: results of its inputs, objects of its outs."""

from collections.abc import Iterable

from tidegate.data.config import load_dvc_config
from tidegate.data.hash import Hashed
from tidegate.data.objects import ObjectCache, has_object
from tidegate.data.remote import Remote, open_remote


def fetch_run(cache: ObjectCache, key: str) -> None:
    """Bring the results that the default remote has for the inputs that `key` stands for."""
    from tidegate.data.runs import fetch_run

    fetch_run(cache, _remote(cache, ""), key)


def fetch_from(cache: ObjectCache, hashes: Iterable[Hashed], *, name: str = "") -> None:
    """Bring objects from the remote of this name, or the default one; what it lacks is simply not there after."""
    lacking = [hashed for hashed in hashes if hashed.md5 and not has_object(cache, hashed)]
    if not lacking:
        return
    from tidegate.data.transfer import fetch

    fetch(cache, _remote(cache, name), lacking)


def _remote(cache: ObjectCache, name: str) -> Remote:
    return open_remote(load_dvc_config(cache.files.root), name or None)
