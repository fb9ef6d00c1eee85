"""From a bundle to a model: the one loader."""

from collections.abc import Sequence
from typing import Protocol

from tidegate.domain.model import Model
from tidegate.errors import TidegateError, UsageError
from tidegate.project.runtime import Runtime
from tidegate.registry.columns import text_columns
from tidegate.registry.formats import FORMATS, ONNX, RuntimeRecord, read_record
from tidegate.registry.load import Bundle
from tidegate.registry.parity import as_rows, require_same


class LoadedModel(Model, Protocol):
    """A model with the bundle that it came in; `versions` are those of the packages that it runs on."""

    bundle: Bundle
    versions: dict[str, str]

    def close(self) -> None:
        """Give back what it holds; it is not asked again."""


def load_model(bundle: Bundle, *, named: bool = True, settings: Runtime | None = None) -> LoadedModel:
    """The bundle's model, which has answered its own example as it did when it was bundled.

    With `named` class indices become the bundle's labels; `settings` are the deployment's own. Raises
    UsageError for a model that these do not allow, that cannot be asked with the contract's columns, or that
    answers its example otherwise.
    """
    settings = settings or Runtime()
    record = read_record(bundle)
    _require_allowed(bundle, record, settings)
    labels = bundle.labels if named else ()
    model = open_model(bundle, record, labels=labels, settings=settings)
    try:
        _try_example(model, record, labels)
    except TidegateError:
        model.close()
        raise
    return model


def open_model(
    bundle: Bundle, record: RuntimeRecord, *, labels: Sequence[str], settings: Runtime
) -> LoadedModel:
    """The model without a question asked: what may be loaded and whether it answers well is for the caller."""
    if record.format == ONNX:
        from tidegate.registry.onnx import load_onnx

        return load_onnx(bundle, labels=labels)
    from tidegate.registry.runtime.model import load_remote

    return load_remote(bundle, record, labels=labels, settings=settings)


def _require_allowed(bundle: Bundle, record: RuntimeRecord, settings: Runtime) -> None:
    """Code is run only for whom the deployment trusts, and a pickle only where it says so."""
    form, where = FORMATS[record.format], f"bundle {bundle.digest[:12]}"
    if form.is_code and not bundle.key:
        raise UsageError(where, f"its model is {form.title}, which is code, and no trusted key signed it")
    require_pickle(record.format, settings, where=where)


def require_pickle(form: str, settings: Runtime, *, where: str) -> None:
    """Raise UsageError for a pickle where the deployment's own settings do not allow any."""
    if form in ("pickle", "joblib") and not settings.allow_pickle:
        found = f"its model is {FORMATS[form].title}, which runs code when it is loaded"
        raise UsageError(where, found, hint="save it with skops, or set runtime.allow_pickle = true")


def _try_example(model: LoadedModel, record: RuntimeRecord, labels: Sequence[str]) -> None:
    if record.example is None:
        return
    where = f"bundle {model.digest[:12]}"
    rows = as_rows(record.example.rows, has_text=bool(text_columns(model.bundle.contract)))
    try:
        require_same(record.example, model.predict(rows), labels)
    except TidegateError as error:
        made = ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))
        raise UsageError(where, f"{error.message}, refusing to serve it", hint=f"made with {made}") from None
