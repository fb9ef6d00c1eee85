"""The gate as a step: the verdict on rows that are fresh, repeated at no cost when it is known."""

import time

from tidegate.domain import Decision, Verdict
from tidegate.flow.ci.step import Ended, Room, listed
from tidegate.gate.report.record import Outcome

OUTCOMES: dict[Verdict, Outcome] = {
    "pass": "passed",
    "block": "failed",
    "underpowered": "undecided",
    "hold": "undecided",
}


def ask_gate(room: Room) -> tuple[Ended, Decision]:
    """The verdict, and in words whether it was asked anew; errors as in `judge`."""
    from tidegate.flow.judge import judge

    began = time.time()
    decision = judge(room.root, remote=room.config.ci.share)
    repeated = "the recorded verdict is repeated, " if decision.at < began else ""
    return Ended(OUTCOMES[decision.verdict], f"{repeated}{_say(decision)}"), decision


def _say(decision: Decision) -> str:
    judged = [found for found in decision.findings if found.severity == "block"]
    names = listed([found.check for found in judged if found.verdict == decision.verdict])
    words = {"pass": "every rule is proven", "block": f"{names} must not ship"}
    return words.get(decision.verdict, f"{names} cannot be told yet")
