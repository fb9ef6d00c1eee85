"""`[runtime]`: what a model that is not ONNX may use and do in its own process."""

from typing import Annotated

import msgspec

from tidegate.project.section import Bytes, Seconds, Section

Small = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Runtime(Section, frozen=True):
    """The child process of a Python model: address space, time for a call and for its start, and whom to trust.

    These are the deployment's own: what stands in a bundle's copy of the file is never asked. `trust` are the
    types that skops may make beside those that it holds harmless.
    """

    memory: Bytes = Bytes(2_000_000_000)
    timeout: Seconds = Seconds(10)
    start_timeout: Seconds = Seconds(60)
    trust: tuple[str, ...] = ()
    allow_pickle: bool = False
