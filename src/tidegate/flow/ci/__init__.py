"""`ci`: what a CI job runs, and a laptop in the same way: checks, affected stages, gate, report, one exit code."""

from tidegate.flow.ci.course import Finished, ci
from tidegate.flow.ci.foresee import Foreseen, foresee
from tidegate.flow.ci.step import Watcher

__all__ = ["Finished", "Foreseen", "Watcher", "ci", "foresee"]
