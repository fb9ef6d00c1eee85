"""The settings of the gateway."""

from typing import Annotated, Literal

import msgspec

from tidegate.project.section import Positive, Seconds, Section

OptionalAddress = Annotated[str, msgspec.Meta(pattern=r"^(.+:\d+)?$")]


class Serve(Section, frozen=True):
    """The gateway. `assign_by` keeps a unit on one arm: `header:NAME`, or `request`.

    `grpc` is where gRPC listens, nowhere when empty. A request that is not answered within `timeout` gets 504;
    one that is still running `drain` after SIGTERM is cut. `tls_certificate` and `tls_key` are files in PEM. With
    `access = "keys"` a client proves itself by a key of `tidegate access`.
    """

    address: str = "127.0.0.1:8080"
    grpc: OptionalAddress = ""
    workers: Positive = 1
    assign_by: Annotated[str, msgspec.Meta(pattern="^(request|header:[A-Za-z0-9-]+)$")] = "header:x-user"
    max_body_bytes: Positive = 8_000_000
    max_rows: Positive = 1024
    timeout: Seconds = Seconds(30)
    drain: Seconds = Seconds(10)
    access: Literal["open", "keys"] = "open"
    tls_certificate: str = ""
    tls_key: str = ""

    @property
    def unit_header(self) -> str:
        """The header that names the unit, in lower case; "" where a request is a unit of its own."""
        kind, _, name = self.assign_by.partition(":")
        return name.lower() if kind == "header" else ""
