"""`[log]`: how the prediction log is kept, as the table says it."""

from typing import Literal

from tidegate.project.section import BytesOrAll, Seconds, SecondsOrEver, Section


class Log(Section, frozen=True):
    """How safely predictions are logged, how long they stay, and what is never written.

    `group` waits for the disk before a reply, one sync for all that came meanwhile. Inputs that the contract marks
    as personal or restricted are not written, nor those in `redact`; `hash` writes units under a key of the
    project's own.
    """

    sync: Literal["none", "group"] = "none"
    retain: SecondsOrEver = SecondsOrEver(90 * 86_400)
    max_bytes: BytesOrAll = BytesOrAll(20_000_000_000)
    compact_every: Seconds = Seconds(3600)
    redact: tuple[str, ...] = ()
    unit: Literal["plain", "hash"] = "plain"
