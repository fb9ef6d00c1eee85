"""A bundle's model in a process of its own, as the gateway sees it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tidegate.data.contract import Contract
from tidegate.data.contract.bounds import make_slots
from tidegate.domain import TensorSpec
from tidegate.domain.model import Answer, Done, Told
from tidegate.errors import TidegateError, UsageError
from tidegate.project.runtime import Runtime
from tidegate.registry.columns import row_columns, text_columns
from tidegate.registry.formats import FORMATS, PREDICTOR, Example, RuntimeRecord, artifacts_of
from tidegate.registry.load import Bundle
from tidegate.registry.named import Names
from tidegate.registry.runtime.remote import Remote, Source
from tidegate.registry.runtime.wire import ARTIFACTS, MODULE, Feature

if TYPE_CHECKING:
    import asyncio

    import numpy as np

TRUST = "add them to runtime.trust in tidegate.toml if you know where the file comes from"


class RemoteModel:
    """A model that answers from a process of its own; `close` ends that process."""

    is_remote = True

    def __init__(
        self, bundle: Bundle, record: RuntimeRecord, *, remote: Remote, labels: Sequence[str]
    ) -> None:
        contract = bundle.contract
        self.bundle = bundle
        self.digest = bundle.digest
        self.columns = row_columns(contract)
        self.platform = FORMATS[record.format].platform
        self.inputs = _inputs(contract, is_matrix=record.format != PREDICTOR)
        self.outputs = _outputs(record.example, is_named=bool(labels))
        self.versions = remote.versions
        self.remote = remote
        self._names = Names(labels)

    def predict(self, rows: "np.ndarray") -> "tuple[list[Answer], np.ndarray]":
        """Answers and class scores [n, classes] (no classes when the model gives none) for rows [n, columns].

        Raises UnavailableError while its process is started again, TidegateError when the process ends during
        the call, UsageError when the model fails on these rows or answers other than once a row.
        """
        answers, scores = self.remote.predict(rows)
        return self._names.of(answers), scores

    def ask(
        self, rows: "np.ndarray", loop: "asyncio.AbstractEventLoop", done: Done, *, awake: bool = False
    ) -> bool:
        """As `Remote.ask`, with the answers by their names."""
        return self.remote.ask(rows, loop, partial(self._named, done), awake=awake)

    def close(self) -> None:
        """End the process."""
        self.remote.close()

    def _named(self, done: Done, found: Told) -> None:
        done(found if isinstance(found, Exception) else self._names_of(*found))

    def _names_of(self, answers: "list[Answer]", scores: "np.ndarray") -> Told:
        try:
            return self._names.of(answers), scores
        except UsageError as error:
            return error


def load_remote(
    bundle: Bundle, record: RuntimeRecord, *, labels: Sequence[str], settings: Runtime
) -> RemoteModel:
    """The model of a bundle in a new process; TidegateError when it cannot be loaded there."""
    where = f"bundle {bundle.digest[:12]}"
    source = Source(record.format, _files(bundle, record), record.name, features_of(bundle.contract))
    try:
        remote = Remote(source, settings)
    except TidegateError as error:
        raise UsageError(
            where, f"its model {error.message}", hint=TRUST if "runtime.trust" in error.message else ""
        ) from None
    return RemoteModel(bundle, record, remote=remote, labels=labels)


def features_of(contract: Contract) -> tuple[Feature, ...]:
    """Where each feature of a row stands."""
    text = text_columns(contract)
    return tuple(
        Feature(slot.column.name, slot.start, slot.width, slot.shape, slot.column.name in text)
        for slot in make_slots(contract)
    )


def _files(bundle: Bundle, record: RuntimeRecord) -> Mapping[str, bytes]:
    """What the process finds in its folder."""
    if record.format != PREDICTOR:
        return {record.name: bundle.read(record.name)}
    artifacts = {f"{ARTIFACTS}/{path}": data for path, data in artifacts_of(bundle.parts).items()}
    return {MODULE: bundle.read(MODULE), **artifacts}


def _inputs(contract: Contract, *, is_matrix: bool) -> tuple[TensorSpec, ...]:
    """One tensor of all columns where all are numbers, else one of each feature."""
    features = features_of(contract)
    if is_matrix and not any(one.is_text or one.shape for one in features):
        return (TensorSpec("input", "FP64", (-1, len(features))),)
    kinds = ["BYTES" if one.is_text else "FP64" for one in features]
    return tuple(
        TensorSpec(one.name, kind, (-1, *(one.shape or (1,))), one.start)
        for one, kind in zip(features, kinds, strict=True)
    )


def _outputs(example: Example | None, *, is_named: bool) -> tuple[TensorSpec, ...]:
    """As the example has it: the types of the answers, and how many scores a row gets."""
    answers = example.answers if example else ()
    is_text = is_named or any(isinstance(one, str) for one in answers)
    is_whole = bool(answers) and all(isinstance(one, int) for one in answers)
    kind = "BYTES" if is_text else "INT64" if is_whole else "FP64"
    first = TensorSpec("predictions", kind, (-1,))
    classes = len(example.scores[0]) if example and example.scores else 0
    return (first, TensorSpec("scores", "FP64", (-1, classes))) if classes else (first,)
