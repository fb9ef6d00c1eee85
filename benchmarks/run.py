"""Runs benchmarks and writes what each printed into `RESULTS.md`, under the command that printed it.

    python benchmarks/run.py [NAME ...]

Runs every one, or those of the names, whose results replace the former ones. Run it on an idle machine: a figure
is comparable only with those under the same command.
"""

import ast
import os
import platform
import re
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
DVC = ROOT / ".tools" / "dvc" / "bin" / "dvc"
NO_BENCHMARK = ("run.py", "racing.py", "projects.py", "malformed.py")


def main() -> int:
    """Run those asked for; returns 1 when one of them failed."""
    scripts = sorted(path for path in HERE.glob("*.py") if path.name not in NO_BENCHMARK)
    asked = set(sys.argv[1:]) or {script.stem for script in scripts}
    results = HERE / "RESULTS.md"
    blocks = _blocks(results.read_text(encoding="utf-8")) if results.exists() else {}
    code = 0
    for script in scripts:
        if script.stem in asked:
            done = _run(script)
            blocks[script.stem] = _block(script, done.stdout)
            code = max(code, done.returncode)
    known = [blocks[script.stem] for script in scripts if script.stem in blocks]
    results.write_text("\n".join(["# Results", "", *known]), encoding="utf-8")
    return code


def _blocks(page: str) -> dict[str, str]:
    """The former results by the name of their script."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return {part[3:].splitlines()[0]: part.rstrip("\n") + "\n" for part in parts}


def _run(script: Path) -> subprocess.CompletedProcess[str]:
    print(f"== {script.relative_to(ROOT)}", flush=True)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=1800
    )
    print(done.stdout, flush=True)
    return done


def _block(script: Path, out: str) -> str:
    doc = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    command = f"$ python {script.relative_to(ROOT)}"
    when = f"Measured on {date.today()} with {_versions()}, on {_machine()}."
    return f"## {script.stem}\n\n{doc}\n\n{when}\n\n```console\n{command}\n{out.rstrip()}\n```\n"


def _versions() -> str:
    dvc = subprocess.run([str(DVC), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"tidegate {version('tidegate')} and dvc {dvc}"


def _machine() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
