"""The gate as a verb: read the candidate's rows and the live model's, decide, write the verdict down."""

import time
from pathlib import Path

import msgspec

from tidegate.domain import Decision, Event
from tidegate.errors import ConflictError, CorruptError, UsageError
from tidegate.gate.checks import Evidence
from tidegate.gate.decide import decide
from tidegate.gate.evaluate import Rows, match, read_rows, test_set_digest
from tidegate.gate.plan import Need, plan_labels
from tidegate.gate.report import render_report
from tidegate.project import Config, load_config, parse_config
from tidegate.registry.load import Bundle, load_model, open_bundle
from tidegate.store.files import write_atomic
from tidegate.store.git import head_commit
from tidegate.store.layout import Layout
from tidegate.store.ledger import Ledger, open_ledger

ATTEMPTS = 5


def judge(root: Path) -> Decision:
    """Decide whether the candidate's evaluation rows may ship, and record it in the ledger.

    The same rows against the same live rows under the same rules repeat the recorded verdict and
    spend nothing. Raises UsageError for rows that cannot be judged, ConflictError when other processes
    write to the ledger all the time.
    """
    config = load_config(root)
    layout = Layout(root)
    with open_ledger(layout.ledger) as ledger:
        for _ in range(ATTEMPTS):
            decision = _judged(config, layout, ledger)
            if decision:
                return decision
    raise ConflictError("gate", f"other processes wrote {ATTEMPTS} times in between", hint="try again")


def _judged(config: Config, layout: Layout, ledger: Ledger) -> Decision | None:
    """The recorded decision; None when something happened meanwhile that might change it."""
    head = ledger.head()
    history = decisions(ledger)
    evidence, commit = gather(config, layout, ledger), head_commit(layout.root)
    decision = decide(config.gate, evidence, history, now=time.time(), commit=commit)
    if decision in history:
        return decision
    try:
        ledger.append("gate.decided", decision.candidate, msgspec.to_builtins(decision), expect=head)
    except ConflictError:
        return None
    return decision


def write_report(root: Path, decision: Decision, path: Path) -> None:
    """Render a recorded decision as Markdown; nothing is computed again."""
    config = load_config(root)
    write_atomic(path, render_report(decision, name=config.project.name, gate=config.gate))


def needs(root: Path) -> tuple[Need, ...]:
    """The labels that each rule needs at the next submission; from usual rates before the first evaluation."""
    config = load_config(root)
    layout = Layout(root)
    with open_ledger(layout.ledger) as ledger:
        is_evaluated = (root / config.data.evaluation).exists()
        evidence = gather(config, layout, ledger) if is_evaluated else None
        return plan_labels(config.gate, evidence, decisions(ledger))


def gather(config: Config, layout: Layout, ledger: Ledger) -> Evidence:
    """The candidate's rows beside the live model's on the same test set; None with nothing live."""
    candidate = read_rows(layout.root / config.data.evaluation, config.data)
    live = ledger.state().live
    if live is None:
        return Evidence(candidate, None)
    bundle = open_bundle(layout.bundles, live.bundle, keys=layout.keys, require=config.sign.require)
    return Evidence(candidate, baseline_rows(config, layout, bundle, candidate))


def baseline_rows(config: Config, layout: Layout, bundle: Bundle, candidate: Rows) -> Rows:
    """The live model's answers to the candidate's test set, scored anew when the test set has changed."""
    recorded = recorded_rows(bundle)
    if test_set_digest(recorded) == test_set_digest(candidate):
        return match(candidate, recorded)
    return match(candidate, _score(config, layout, bundle))


def recorded_rows(bundle: Bundle) -> Rows:
    """The evaluation rows that a bundle carries, read with the column names of its own policy."""
    policy = parse_config(bundle.read("policy.toml").decode())
    return read_rows(bundle.path / evaluation_name(policy), policy.data)


def evaluation_name(config: Config) -> str:
    """The evaluation file's name inside a bundle: `evaluation` with the suffix of the project's own."""
    return f"evaluation{Path(config.data.evaluation).suffix}"


def decisions(ledger: Ledger) -> tuple[Decision, ...]:
    """Every verdict so far, oldest first."""
    return tuple(_decision_of(event) for event in ledger.events(kinds=("gate.decided",)))


def recorded_event(ledger: Ledger, decision: Decision) -> Event:
    """The ledger's entry of a decision, whose hash the model version cites."""
    for event in reversed(ledger.events(kinds=("gate.decided",))):
        if _decision_of(event) == decision:
            return event
    raise CorruptError(
        "ledger", f"no entry for the decision on {decision.candidate[:12]}", hint="tidegate gate"
    )


def _decision_of(event: Event) -> Decision:
    return msgspec.convert(event.body, Decision)


def _score(config: Config, layout: Layout, bundle: Bundle) -> Rows:
    """The live model asked about the held-out table of today."""
    from tidegate.data.tables import read_table

    path = layout.root / config.data.heldout
    table = read_table(path)
    model = load_model(bundle, named=False)
    missing = [
        name for name in (config.data.id, config.data.label, *model.columns) if name not in table.columns
    ]
    if missing:
        found = f"no column `{missing[0]}`, the live model is asked about these rows"
        raise UsageError(
            config.data.heldout, found, hint="set data.heldout to the table behind the evaluation"
        )
    answers, _ = model.predict(table.numbers(model.columns).astype("float32"))
    truth = tuple(str(value) for value in table.values[config.data.label])
    ids = tuple(str(value) for value in table.values[config.data.id])
    return Rows(ids, truth, tuple(str(answer) for answer in answers), {})
