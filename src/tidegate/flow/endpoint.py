"""Where the project's own endpoint listens, and how its commands ask it, like everybody else."""

import http.client
import os
import ssl
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import UsageError
from tidegate.project import Config

# the key of `tidegate access` that the commands of this shell send
KEY = "TIDEGATE_KEY"
READY_S = 2.0


class Address(NamedTuple):
    """A host and a port; `certificate` is the file that an endpoint with TLS proves itself by."""

    host: str
    port: int
    certificate: str = ""

    @property
    def url(self) -> str:
        """The base of every path."""
        scheme = "https" if self.certificate else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def address_of(text: str, key: str = "serve.address") -> Address:
    """`HOST:PORT`, the host in brackets for IPv6; UsageError for anything else."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(key, f"`{text}`, expected HOST:PORT such as 127.0.0.1:8080")
    return Address(host.strip("[]"), int(port))


def endpoint_of(root: Path, config: Config) -> Address:
    """The address of a project's endpoint; UsageError for TLS with only half of what it takes."""
    serving, address = config.serve, address_of(config.serve.address)
    if bool(serving.tls_certificate) != bool(serving.tls_key):
        missing = "tls_key" if serving.tls_certificate else "tls_certificate"
        raise UsageError(f"serve.{missing}", "missing, TLS takes a certificate and its key")
    if not serving.tls_certificate:
        return address
    for key in ("tls_certificate", "tls_key"):
        path = root / getattr(serving, key)
        if not path.is_file():
            raise UsageError(f"serve.{key}", f"`{path.name}` is no file, expected one in PEM")
    return address._replace(certificate=str(root / serving.tls_certificate))


def make_context(root: Path, config: Config) -> ssl.SSLContext:
    """What an endpoint with a certificate speaks TLS with; UsageError for files that are no such pair."""
    serving, context = config.serve, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # nobody is there to type a passphrase
        context.load_cert_chain(root / serving.tls_certificate, root / serving.tls_key, password="")
    except OSError as error:
        reason = (getattr(error, "reason", "") or error.strerror or "no PEM").lower().replace("_", " ")
        found = f"no pair of certificate and key without passphrase in PEM, {reason}"
        raise UsageError("serve.tls_certificate", found) from None
    return context


def is_public(address: Address) -> bool:
    """Whether other machines can reach it."""
    return address.host not in ("localhost", "::1") and not address.host.startswith("127.")


def connect(address: Address, timeout: float) -> http.client.HTTPConnection:
    """A connection to it, not opened yet; TLS trusts the project's own certificate, whatever its names."""
    if not address.certificate:
        return http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=address.certificate)
    context.check_hostname = False
    # the certificate is trusted as it is, whoever signed it
    context.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(address.host, address.port, timeout=timeout, context=context)


def key_headers() -> dict[str, str]:
    """The header that proves who asks, where the environment holds a key."""
    key = os.environ.get(KEY, "").strip()
    if not all("!" <= one <= "~" for one in key):
        raise UsageError(KEY, "holds something else than a key of `tidegate access`")
    return {"authorization": f"Bearer {key}"} if key else {}


def is_ready(address: Address) -> bool:
    """Whether the endpoint answers and something is live behind it."""
    connection = connect(address, READY_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
