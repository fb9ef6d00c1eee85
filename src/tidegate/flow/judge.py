"""The gate as a verb: read the candidate's rows and the live model's, decide, write the verdict down."""

import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec

from tidegate.domain import Decision, Event
from tidegate.errors import ConflictError, CorruptError, UsageError
from tidegate.flow.artifact import measure_artifact
from tidegate.flow.budget import in_line, place_at
from tidegate.flow.challenge import train_challengers, write_rows
from tidegate.gate.checks import Evidence
from tidegate.gate.decide import answered, decide
from tidegate.gate.plan import Need, plan_easeml, plan_labels
from tidegate.gate.read import Wanted, explain_mismatch, read_rows, wanted_by
from tidegate.gate.rows import Rows, one_code
from tidegate.project import Config, Simpler, load_config, parse_config
from tidegate.registry.columns import table_rows
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.model import load_model
from tidegate.store.exchange import decided
from tidegate.store.git import head_commit
from tidegate.store.layout import Layout
from tidegate.store.ledger import Ledger, open_ledger

ATTEMPTS = 5


def judge(root: Path, *, remote: str = "") -> Decision:
    """Decide whether the candidate's evaluation rows may ship, and record it in the ledger.

    The same rows against the same live rows under the same rules repeat the recorded verdict and
    spend nothing. With a git `remote` all who share it stand in one line. Raises UsageError for rows
    that cannot be judged, ConflictError when other processes write to the ledger all the time.
    """
    config = load_config(root)
    layout = Layout(root)
    find_functions(root)
    with open_ledger(layout.ledger) as ledger:
        if remote:
            return in_line(ledger, place_at(root, remote), partial(_decide, config, layout, ledger))
        for _ in range(ATTEMPTS):
            decision = _judged(config, layout, ledger)
            if decision:
                return decision
    raise ConflictError("gate", f"other processes wrote {ATTEMPTS} times in between", hint="try again")


def _judged(config: Config, layout: Layout, ledger: Ledger) -> Decision | None:
    """The recorded decision; None when something happened meanwhile that might change it."""
    head = ledger.head()
    history = decisions(ledger)
    decision = _decide(config, layout, ledger, history)
    if decision in history:
        return decision
    try:
        ledger.append("gate.decided", decision.candidate, msgspec.to_builtins(decision), expect=head)
    except ConflictError:
        return None
    return decision


def _decide(config: Config, layout: Layout, ledger: Ledger, history: Sequence[Decision]) -> Decision:
    """The answer of history, else a new decision, which is not written down yet."""
    evidence, commit = gather(config, layout, ledger), head_commit(layout.root)
    recorded = answered(config.gate, evidence, history)
    if recorded:
        return recorded
    evidence = with_challengers(config, layout, evidence)
    return decide(config.gate, evidence, history, now=time.time(), commit=commit)


def needs(root: Path) -> tuple[Need, ...]:
    """The labels that each rule needs at the next submission; from usual rates before the first evaluation."""
    config = load_config(root)
    layout = Layout(root)
    find_functions(root)
    with open_ledger(layout.ledger) as ledger:
        is_evaluated = (root / config.data.evaluation).exists()
        evidence = gather(config, layout, ledger) if is_evaluated else None
        return plan_labels(config.gate, evidence, decisions(ledger))


def needs_of_easeml(root: Path) -> tuple[Need, ...]:
    """What ease.ml/ci's formulas ask for the same rules."""
    return plan_easeml(load_config(root).gate)


def gather(config: Config, layout: Layout, ledger: Ledger, *, wanted: Wanted | None = None) -> Evidence:
    """The candidate's rows beside the live model's on the same test set; None with nothing live.

    Without `wanted` they hold what the rules ask for, and their digests are what the gate judges.
    """
    find_functions(layout.root)
    wanted = wanted or wanted_by(config.gate, config.project.task)
    candidate = read_rows(layout.root / config.data.evaluation, config.data, wanted)
    artifact = measure_artifact(config.gate, layout.root / config.model.path)
    live = ledger.state().live
    if live is None:
        return Evidence(candidate, None, artifact=artifact)
    bundle = open_bundle(layout.bundles, live.bundle, keys=layout.keys, require=config.sign.require)
    baseline = baseline_rows(config, layout, bundle, candidate)
    return Evidence(*one_code(candidate, baseline), artifact=artifact)


def with_challengers(config: Config, layout: Layout, evidence: Evidence) -> Evidence:
    """The evidence with simple models trained, for a first release or where a rule asks for them."""
    asked = any(isinstance(rule, Simpler) and set(rule.than) - {"dummy"} for rule in config.gate.rule)
    if evidence.baseline is not None and not asked:
        return evidence
    return evidence._replace(challengers=train_challengers(config, layout.root, evidence.candidate))


def baseline_rows(config: Config, layout: Layout, bundle: Bundle, candidate: Rows) -> Rows:
    """The live model's answers to the candidate's test set, scored anew when the test set has changed.

    Raises UsageError, saying how they differ, when the table behind the evaluation holds other rows.
    """
    wanted = wanted_by(config.gate, config.project.task)
    scores = wanted.scores or candidate.scores is not None
    wanted = wanted._replace(scores=scores, is_lenient=True)
    recorded = recorded_rows(bundle, wanted)
    if recorded.test_set == candidate.test_set:
        return recorded
    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        path = Path(folder) / "live.csv"
        _score(config, layout, bundle, path=path)
        rows = read_rows(path, config.data, wanted)
        if rows.test_set != candidate.test_set:
            mine = layout.root / config.data.evaluation
            raise explain_mismatch(mine, path, data=config.data, live_data=config.data)
        return rows


def recorded_rows(bundle: Bundle, wanted: Wanted) -> Rows:
    """The evaluation rows that a bundle carries, read with the column names of its own policy."""
    policy = parse_config(bundle.read("policy.toml").decode())
    return read_rows(bundle.path / evaluation_name(policy), policy.data, wanted)


def evaluation_name(config: Config) -> str:
    """The evaluation file's name inside a bundle: `evaluation` with the suffix of the project's own."""
    return f"evaluation{Path(config.data.evaluation).suffix}"


def decisions(ledger: Ledger) -> tuple[Decision, ...]:
    """Every verdict so far, of this ledger and merged from others, oldest question first."""
    return tuple(_decision_of(event) for event in decided(ledger))


def recorded_event(ledger: Ledger, decision: Decision) -> Event:
    """The ledger's entry of a decision, whose hash the model version cites."""
    for event in decided(ledger):
        if _decision_of(event) == decision:
            return event
    raise CorruptError(
        "ledger", f"no entry for the decision on {decision.candidate[:12]}", hint="tidegate gate"
    )


def _decision_of(event: Event) -> Decision:
    return msgspec.convert(event.body, Decision)


def find_functions(root: Path) -> None:
    """Metrics of the user's own are modules of the project."""
    for folder in (root / "src", root):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def _score(config: Config, layout: Layout, bundle: Bundle, *, path: Path) -> None:
    """Ask the live model about the held-out table of today, and write its answers as evaluation rows."""
    from tidegate.data.tables import read_table

    heldout, contract = config.data.heldout, bundle.contract
    table = read_table(layout.root / heldout)
    names = (config.data.id, config.data.label, *(column.name for column in contract.columns))
    missing = [name for name in names if name not in table.columns]
    if missing:
        found = f"no column `{missing[0]}`, the live model is asked about these rows"
        raise UsageError(heldout, found, hint="set data.heldout to the table behind the evaluation")
    with closing(load_model(bundle, named=False, settings=config.runtime)) as model:
        answers, scores = model.predict(table_rows(contract, table, where=heldout))
    classes = config.data.labels or bundle.labels
    by_class = {label: scores[:, number].tolist() for number, label in enumerate(classes)}
    write_rows(
        path, config, layout.root, answers, scores=by_class if scores.shape[1] == len(classes) else None
    )
