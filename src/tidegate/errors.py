"""Every error a user can meet, by what the caller does next.

An error says where, what was found and what was expected; its hint is one command or edit.
Exit codes are stable: 0 ok, 1 error, 2 usage, 3 blocked (by the gate, by a check of `ci` that failed, or a
rollout that was rolled back), 4 undecided (underpowered, on hold, or nothing could be judged), 5 alert active,
6 verification failed. Codes 3, 4 and 5 are verdicts, never exceptions.
"""

from collections.abc import Iterable

BLOCKED = 3
UNDECIDED = 4
ALERTING = 5


class TidegateError(Exception):
    """The work cannot go on; `str(error)` is one line without the hint."""

    kind = "error"
    exit_code = 1

    def __init__(self, where: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.message = message
        self.hint = hint

    def as_dict(self) -> dict[str, str]:
        """The `error` object of `--json` output."""
        return {"kind": self.kind, "where": self.where, "message": self.message, "hint": self.hint}


class UsageError(TidegateError):
    """The input is wrong: mend the command, the file or the request."""

    kind = "usage"
    exit_code = 2


class NotFoundError(TidegateError):
    """What was named does not exist."""

    kind = "not_found"


class ConflictError(TidegateError):
    """Another process or an earlier step is in the way; look, then decide."""

    kind = "conflict"


class UnavailableError(TidegateError):
    """Nothing is wrong with the request: try again later."""

    kind = "unavailable"


class CorruptError(TidegateError):
    """Bytes differ from what was recorded; nothing was loaded."""

    kind = "corrupt"
    exit_code = 6


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`, did you mean ...?` with the nearest known name, or an empty string when none is near."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean `{near[0]}`?" if near else ""


EXTRAS = {
    "duckdb": "gate",
    "numpy": "gate",
    "scipy": "gate",
    "httptools": "serve",
    "onnxruntime": "serve",
    "orjson": "serve",
    "prometheus_client": "serve",
    "grpc": "serve",
    "google": "serve",
    "uvloop": "serve",
    "s3fs": "s3",
    "gcsfs": "gs",
    "adlfs": "az",
    "sshfs": "ssh",
    "aiohttp": "http",
    "cleanlab": "labels",
    "PIL": "examples",
    "sklearn": "sklearn",
    "skops": "sklearn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "skl2onnx": "convert",
    "onnxmltools": "convert",
    "model_signing": "openssf",
}


def missing_package(command: str, package: str) -> TidegateError | None:
    """The error of a command that needs an optional package; None for a package that no extra holds."""
    extra = EXTRAS.get(package.partition(".")[0])
    return missing_extra(command, extra) if extra else None


def missing_extra(command: str, extra: str) -> TidegateError:
    """The error of a command whose optional packages are not installed."""
    hint = f"pip install 'tidegate[{extra}]'"
    return TidegateError(command, f"needs packages of the `{extra}` extra", hint=hint)
