"""What goes into a bundle: every part of a candidate that passed, gathered and not computed twice."""

import json
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidegate.data.contract import infer_contract, render_contract
from tidegate.data.tables import Table, read_table
from tidegate.domain import Decision
from tidegate.errors import NotFoundError
from tidegate.flow.check import read_contract
from tidegate.flow.judge import evaluation_name
from tidegate.flow.provenance import gather_provenance
from tidegate.gate.read import Wanted, read_rows
from tidegate.gate.rows import right, said
from tidegate.monitor.reference import build_reference, encode_reference
from tidegate.project import CONFIG, Config
from tidegate.registry.columns import row_columns
from tidegate.registry.convert import ship_model
from tidegate.registry.load import CONTRACT
from tidegate.registry.provenance import ENVIRONMENT, PROVENANCE, render_statement
from tidegate.store.files import sha256_bytes
from tidegate.store.layout import Layout


class Gathered(NamedTuple):
    """The bytes of every file of a bundle, by name, and what a person should know of how they came about."""

    parts: dict[str, bytes]
    notes: tuple[str, ...]


def gather_parts(config: Config, layout: Layout, decision: Decision) -> Gathered:
    """Everything that goes into the bundle of a candidate."""
    root = layout.root
    contract = _contract(config, root)
    model = ship_model(config, root, contract=contract)
    evaluation = _read(root, config.data.evaluation, "data.evaluation")
    parts = {
        **model.parts,
        CONTRACT: contract,
        ENVIRONMENT: environment().encode(),
        evaluation_name(config): evaluation,
        "decision.json": msgspec.json.encode(decision, order="sorted"),
        "reference.json": _reference(config, root),
        "labels.json": json.dumps(list(config.model.labels)).encode(),
        "policy.toml": _read(root, CONFIG, ""),
    }
    subjects = {name: sha256_bytes(data) for name, data in parts.items()}
    provenance = render_statement(gather_provenance(config, layout), subjects)
    return Gathered({**parts, PROVENANCE: provenance}, model.notes)


def _read(root: Path, name: str, key: str) -> bytes:
    try:
        return (root / name).read_bytes()
    except FileNotFoundError:
        hint = f"run `tidegate repro`, or set {key}" if key else "tidegate init"
        raise NotFoundError(name, "no such file, a bundle needs it", hint=hint) from None


def _contract(config: Config, root: Path) -> bytes:
    path = root / config.data.contract
    if path.exists():
        # a contract that cannot be enforced must not reach an endpoint
        row_columns(read_contract(path, config.data.contract), config.data.contract)
        return path.read_bytes()
    table = _features(config, read_table(root / config.model.reference))
    return render_contract(infer_contract(config.project.name, table)).encode()


def _features(config: Config, table: Table) -> Table:
    """The columns that a model is asked with: all but the row's id and its truth."""
    names = tuple(name for name in table.columns if name not in (config.data.id, config.data.label))
    return Table(names, {name: table.values[name] for name in names})


def environment() -> str:
    """The interpreter and every installed distribution, pinned, in the form of a requirements file."""
    found = {dist.metadata["Name"].lower(): dist.version for dist in distributions()}
    lines = [f"# Python {sys.version.split()[0]}", *(f"{name}=={found[name]}" for name in sorted(found))]
    return "\n".join(lines) + "\n"


def _reference(config: Config, root: Path) -> bytes:
    train = _features(config, read_table(root / config.model.reference))
    rows = read_rows(root / config.data.evaluation, config.data, Wanted(config.project.task))
    wrong = int((~right(rows)).sum())
    return encode_reference(build_reference(train, _answers(config, said(rows)), wrong))


def _answers(config: Config, predictions: Sequence[str]) -> list[str]:
    """The answers as the endpoint will give them: with the names of `model.labels`."""
    labels = config.model.labels
    named = labels and all(text.isdigit() and int(text) < len(labels) for text in predictions)
    return [labels[int(text)] for text in predictions] if named else list(predictions)
