"""Which bundle answers: an immutable route, and the arm that a unit falls into."""

import hashlib

import msgspec

from tidegate.domain import Role
from tidegate.domain.model import Model


class Arm(msgspec.Struct, frozen=True, gc=False):
    """A bundle that takes traffic: `version` is its model version, `release` the number it answers under."""

    model: Model
    role: Role
    version: int
    release: int


class Route(msgspec.Struct, frozen=True, gc=False):
    """What is live right now; a change replaces the whole record.

    `weight` is the canary's share of units, `salt` (the rollout's id) makes each rollout's assignment its own.
    """

    endpoint: str
    stable: Arm
    canary: Arm | None = None
    weight: float = 0.0
    salt: str = ""


def choose(route: Route, unit: str) -> Arm:
    """The arm of a unit: the same one for the whole of a step, and once canary, canary until the end."""
    if route.canary is not None and position(route.salt, unit) < route.weight:
        return route.canary
    return route.stable


def position(salt: str, unit: str) -> float:
    """Where a unit stands between 0 and 1: uniform over units, independent between salts."""
    digest = hashlib.blake2b(unit.encode(), key=salt.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def with_version(route: Route, version: str) -> Arm | None:
    """The arm that serves a model version; None when none does."""
    arms = (route.stable, route.canary)
    return next((arm for arm in arms if arm is not None and str(arm.version) == version), None)
