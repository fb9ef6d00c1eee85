"""Asking the API of a code host over HTTP: bounded in time and size, and its token goes to that host alone."""

import http.client
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import msgspec

from tidegate.errors import UnavailableError

MOST_BYTES = 1 << 27
PASSING = frozenset({0, 429, 500, 502, 503, 504})
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


class Patience(NamedTuple):
    """Seconds to wait for a reply and for all of them; how often to ask again, first after `pause_s`."""

    reply_s: float = 15.0
    total_s: float = 90.0
    again: int = 3
    pause_s: float = 1.0


PATIENT = Patience()


class Reply(NamedTuple):
    """What came back; status 0 when nothing did, and then `problem` says why."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    problem: str = ""


class Api:
    """The API below one address, asked until a deadline with a token that is never shown."""

    def __init__(self, base: str, token: str, patience: Patience) -> None:
        self._base = f"{base.rstrip('/')}/"
        self._token = token
        self._patience = patience
        self._ends = time.monotonic() + patience.total_s
        self._opener = _opener()

    @property
    def host(self) -> str:
        """Who is asked."""
        return urlsplit(self._base).netloc

    def ask(self, method: str, path: str, content: object = None) -> Reply:
        """The reply; while the trouble may pass the question is repeated, as far as the time allows."""
        reply = self._ask(method, path, content)
        for tried in range(self._patience.again):
            pause = _pause(reply, self._patience.pause_s * 2**tried)
            if pause is None or time.monotonic() + pause >= self._ends:
                break
            time.sleep(pause)
            reply = self._ask(method, path, content)
        return reply

    def refusal(self, reply: Reply, *, denied: str) -> UnavailableError:
        """What a reply other than the expected means; `denied` is the hint for a token that may not do it."""
        hints = {401: "renew the token", 403: denied, 404: denied}
        hint = hints.get(reply.status, "run the job again" if reply.status in PASSING else "")
        if UNTRUSTED in reply.problem:
            hint = "set SSL_CERT_FILE to the certificate that the host is signed by"
        said = _said(reply)
        found = f"HTTP {reply.status}{f', {said}' if said else ''}" if reply.status else reply.problem
        return UnavailableError(self.host, self._plain(found), hint=hint)

    def _ask(self, method: str, path: str, content: object) -> Reply:
        """One exchange, given up at the deadline: a host that drips keeps no single read waiting."""
        found: list[Reply] = []
        request = self._request(method, path, content)
        asking = threading.Thread(target=lambda: found.append(self._exchange(request)), daemon=True)
        asking.start()
        asking.join(max(self._ends - time.monotonic(), 0))
        return found[0] if found else Reply(0, problem=f"no answer within {self._patience.total_s:g} s")

    def _exchange(self, request: urllib.request.Request) -> Reply:
        try:
            with self._opener.open(request, timeout=self._patience.reply_s) as answer:
                return Reply(answer.status, answer.headers, _read(answer))
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, problem=f"no answer, {str(error) or type(error).__name__}")

    def _request(self, method: str, path: str, content: object) -> urllib.request.Request:
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": "tidegate",
        }
        data = None if content is None else msgspec.json.encode(content)
        url = urljoin(self._base, path)
        # of http and https, as whoever gives the address has made sure
        return urllib.request.Request(url, data, headers, method=method)  # noqa: S310

    def _plain(self, text: str) -> str:
        """One short line that shows no token, whatever the other side answered."""
        line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
        return line.replace(self._token, "***")[:160]


def _opener() -> urllib.request.OpenerDirector:
    """Hands back every reply as it is: it follows no redirect, so that no other host sees the token."""
    opener = urllib.request.OpenerDirector()
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), secure):
        opener.add_handler(handler)
    return opener


def _read(answer: http.client.HTTPResponse) -> bytes:
    data = answer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(f"more than {MOST_BYTES:,} bytes")
    return data


def _pause(reply: Reply, otherwise: float) -> float | None:
    """Seconds until the question may be repeated; None when that would change nothing."""
    wished = reply.headers.get("Retry-After", "")
    is_passing = reply.status in PASSING or (reply.status == 403 and wished)
    if not is_passing or UNTRUSTED in reply.problem:
        return None
    return float(wished) if wished.isdecimal() else otherwise


def _said(reply: Reply) -> str:
    """The reason that a reply gives in words."""
    if 300 <= reply.status < 400:
        return f"a redirect to {urlsplit(reply.headers.get('Location', '')).hostname}, which is not followed"
    wished = reply.headers.get("Retry-After", "")
    try:
        found: Any = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    words = found if isinstance(found, dict) else {}
    said = words.get("message") or words.get("error_description") or words.get("error") or ""
    return f"{said}{f' (asks to wait {wished} s)' if wished else ''}".strip()
