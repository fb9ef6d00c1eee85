"""Runs every benchmark and writes what each printed into `RESULTS.md`, under the command that printed it.

Run it on an idle machine. A figure is comparable only with those of the same run.
"""

import ast
import os
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
DVC = ROOT / ".tools" / "dvc" / "bin" / "dvc"
NO_BENCHMARK = ("run.py", "racing.py", "projects.py")


def main() -> int:
    """Run all; returns 1 when one of them failed."""
    scripts = sorted(path for path in HERE.glob("*.py") if path.name not in NO_BENCHMARK)
    runs = [(script, _run(script)) for script in scripts]
    (HERE / "RESULTS.md").write_text(
        _page([(script, done.stdout) for script, done in runs]), encoding="utf-8"
    )
    return max((done.returncode for _, done in runs), default=0)


def _run(script: Path) -> subprocess.CompletedProcess[str]:
    print(f"== {script.relative_to(ROOT)}", flush=True)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=1800
    )
    print(done.stdout, flush=True)
    return done


def _page(runs: list[tuple[Path, str]]) -> str:
    blocks = [_block(script, out) for script, out in runs]
    when = f"Measured on {date.today()} with {_versions()}, on {_machine()}."
    return "\n".join(["# Results", "", when, "", *blocks])


def _block(script: Path, out: str) -> str:
    doc = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    command = f"$ python {script.relative_to(ROOT)}"
    return f"## {script.stem}\n\n{doc}\n\n```console\n{command}\n{out.rstrip()}\n```\n"


def _versions() -> str:
    dvc = subprocess.run([str(DVC), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"tidegate {version('tidegate')} and dvc {dvc}"


def _machine() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
