"""Size and memory of the file that ships: measured, not estimated."""

from typing import NamedTuple

import msgspec

from tidegate.domain import Finding
from tidegate.gate.finding import Case, note
from tidegate.gate.words import say_bytes
from tidegate.project import Memory, Size


class Artifact(NamedTuple):
    """The candidate's file: its SHA-256, its bytes, and what a process that loads it grows by, if measured."""

    digest: str
    size: int
    memory: int | None = None
    why: str = ""


def judge_artifact(rule: Size | Memory, artifact: Artifact | None) -> Finding:
    """Whether the file is within its limit; `underpowered` when it was not measured."""
    kind = str(rule.__struct_config__.tag)
    null = f"the model's {kind} is above {say_bytes(rule.max)}"
    case = Case(kind, null=null, severity=rule.severity, unit="bytes")
    seen = None if artifact is None else artifact.size if isinstance(rule, Size) else artifact.memory
    if seen is None:
        why = artifact.why if artifact and artifact.why else "there is no model file"
        return note(case, "underpowered", f"{kind} not measured: {why}")
    words = f"{kind} {say_bytes(seen)}, must stay within {say_bytes(rule.max)}"
    found = note(case, "pass" if seen <= rule.max else "block", words)
    size = float(seen)
    return msgspec.structs.replace(
        found, estimate=size, low=size, high=size, candidate=size, bound=float(rule.max), method="measured"
    )
