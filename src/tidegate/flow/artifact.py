"""Size and memory of the file that ships, measured where a rule asks."""

import os
import subprocess
import sys
from pathlib import Path

from tidegate.gate.artifact import Artifact
from tidegate.project import Gate, Memory, Size
from tidegate.store.files import sha256_bytes

TIMEOUT_S = 120
# a process of its own, so that nothing else is counted: imports first, then what the model adds
PROBE = """
import resource, sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
asked = session.get_inputs()[0]
types = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"}
shape = [part if isinstance(part, int) else 1 for part in asked.shape]
session.run(None, {asked.name: numpy.zeros(shape, dtype=types.get(asked.type, "float32"))})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def measure_artifact(gate: Gate, path: Path) -> Artifact | None:
    """The file's digest and size, and its memory when a rule asks for it; None when no rule does or it is missing."""
    kinds = {type(rule) for rule in gate.rule}
    if not kinds & {Size, Memory} or not path.is_file():
        return None
    artifact = Artifact(sha256_bytes(path.read_bytes()), path.stat().st_size)
    if Memory not in kinds:
        return artifact
    if path.suffix != ".onnx":
        return artifact._replace(why=f"memory is known of ONNX models only, `{path.name}` is none")
    return _with_memory(artifact, path)


def _with_memory(artifact: Artifact, path: Path) -> Artifact:
    """The artifact with what a process grew by, in bytes."""
    words = [sys.executable, "-c", PROBE, os.fspath(path)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return artifact._replace(why=str(said).strip().splitlines()[-1][:100])
    scale = 1 if sys.platform == "darwin" else 1024
    return artifact._replace(memory=int(done.stdout.split()[-1]) * scale)
