"""Who may ask what, and how often: bearer tokens with roles, checked before a body is looked at."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from tidegate.domain import AccessKey, AccessRole
from tidegate.errors import TidegateError

BEARER = "bearer "


class DeniedError(TidegateError):
    """No key, an unknown one, or one without the role: 401, 403, or 429 for one that asks too often."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__("", message)
        self.status = status


class Access:
    """The keys of one worker, with a bucket of tokens for each that has a rate.

    `share` is the part of a key's rate that this worker grants, as requests spread over all workers.
    """

    def __init__(self, keys: Sequence[AccessKey] | None, *, share: float = 1.0) -> None:
        self._share = share
        self._buckets: dict[str, tuple[float, float]] = {}
        self.keys = keys

    @property
    def is_open(self) -> bool:
        """Whether everybody may ask everything."""
        return self.keys is None

    def check(self, token: str, role: AccessRole, *, now: float) -> None:
        """Raise DeniedError unless a key of this token has the role, and asks no more often than its rate."""
        if self.keys is None:
            return
        key = self._known(token)
        if key is None:
            raise DeniedError(401, "no such key, send `authorization: Bearer KEY`")
        if role not in key.roles:
            raise DeniedError(403, f"key `{key.name}` has no role `{role}`")
        if key.rate is not None and not self._takes(key, now):
            raise DeniedError(429, f"key `{key.name}` asks more than {key.rate:g} times a second")

    def _known(self, token: str) -> AccessKey | None:
        """The token's key; every key is compared, so that the time says nothing."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for key in self.keys or ():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _takes(self, key: AccessKey, now: float) -> bool:
        rate = (key.rate or 0.0) * self._share
        most = max(1.0, rate)
        left, at = self._buckets.get(key.name, (most, now))
        left = min(most, left + (now - at) * rate)
        self._buckets[key.name] = (left - 1 if left >= 1 else left, now)
        return left >= 1


def bearer(header: str) -> str:
    """The token in an Authorization header; "" when it holds none."""
    return header[len(BEARER) :].strip() if header[: len(BEARER)].lower() == BEARER else ""


def token_of(headers: Mapping[bytes, bytes]) -> str:
    """The token of an HTTP request: `authorization: Bearer`, or `x-api-key`."""
    given = headers.get(b"authorization", b"").decode("latin-1")
    return bearer(given) or headers.get(b"x-api-key", b"").decode("latin-1")


def role_of(parts: Sequence[str]) -> AccessRole | None:
    """The role that a route needs; None for those that load balancers ask."""
    path = "/".join(parts)
    if path in ("healthz", "readyz", "ping", "health", "v2/health/live", "v2/health/ready"):
        return None
    if path == "labels":
        return "label"
    return "operate" if path == "metrics" or parts[:2] == ["v2", "repository"] else "predict"
