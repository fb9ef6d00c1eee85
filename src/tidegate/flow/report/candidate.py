"""The candidate as a report sees it: its rows with their scores, and the verdict that is recorded on them."""

from typing import NamedTuple

from tidegate.domain import Decision
from tidegate.errors import UsageError
from tidegate.flow.judge import decisions, gather
from tidegate.gate.checks import Evidence
from tidegate.gate.decide import answered
from tidegate.gate.read import wanted_by
from tidegate.gate.rows import Rows, rows_digest
from tidegate.project import Config
from tidegate.store.layout import Layout
from tidegate.store.ledger import Ledger


class Candidate(NamedTuple):
    """Both models' rows, and the verdict on them; None when the gate was not asked."""

    evidence: Evidence
    decision: Decision | None


def find_candidate(config: Config, layout: Layout, ledger: Ledger) -> Candidate:
    """Read the rows once, with what scores there are, and look the verdict up; errors as in `gather`."""
    wanted = wanted_by(config.gate, config.project.task)
    try:
        evidence = gather(config, layout, ledger, wanted=wanted._replace(scores=True))
    except UsageError:
        # scores that no rule asks for may be anything
        evidence = gather(config, layout, ledger)
    asked = evidence if wanted.scores else _without_scores(evidence)
    return Candidate(evidence, answered(config.gate, asked, decisions(ledger)))


def _without_scores(evidence: Evidence) -> Evidence:
    """The evidence as rules see it that do not ask for scores: its digests are what the gate has judged."""
    live = evidence.baseline
    return evidence._replace(
        candidate=_bare(evidence.candidate), baseline=None if live is None else _bare(live)
    )


def _bare(rows: Rows) -> Rows:
    bare = rows._replace(scores=None)
    return bare if rows.scores is None else bare._replace(digest=rows_digest(bare))
