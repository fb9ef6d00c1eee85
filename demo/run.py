"""The main job on real images: a script over `tidegate` commands that a person could type.

    python demo/run.py [FOLDER]

Ends with exit code 0 only if every step had the outcome that it announces; leaves the service running.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
FOLDER = Path(__file__).parent / "run" / "digits"
DEFAULT_PORT = 8080
TIMEOUT_S = 120
PASS, BLOCKED, UNDECIDED = 0, 3, 4

Text = tuple[str, ...]


class SurpriseError(Exception):
    """A step did not have the outcome that it announced."""


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str


def main() -> None:
    """Run the steps one after the other; the first surprise ends the demo."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER).resolve()
    os.environ.update(_environment())
    began = time.monotonic()
    try:
        _forget(folder)
        _begin(folder)
        for step in (release, block, too_small, better, wrong_answers, shift, roll_back, prove):
            step()
    except SurpriseError as surprise:
        print(f"\nNot as announced: {surprise}", file=sys.stderr)
        sys.exit(1)
    say(
        f"Every step had the outcome it announced, in {time.monotonic() - began:.0f} s. The service is still up."
    )
    print(f"look at it: cd {_shown(folder)} && tidegate ps")
    print(f"stop it:    cd {_shown(folder)} && tidegate down")
    print(
        f"`tidegate` is {_shown(BIN / 'tidegate')}; `source {_shown(BIN / 'activate')}` puts it on your path."
    )


def release() -> None:
    """The first commit, all the way to traffic."""
    say("1. The pipeline runs what is stale: now everything, then nothing.")
    run("tidegate repro", expect_words=("held-out rows scored",))
    run("tidegate repro", expect_words=("everything is up to date",))
    commit("Run the pipeline")
    say("2. May it ship? Nothing is live yet, so it must reach its floor and beat the most frequent answer.")
    run("tidegate gate --report gate.md", expect_words=("PASS",))
    say("3. One signed bundle; the plan says what will change, apply does exactly that.")
    run("tidegate plan")
    run("tidegate apply", expect_words=("release 1 is live",))
    run("tidegate up")
    run("tidegate predict data/processed/test.csv -n 3")
    run("tidegate replay --requests 1000", expect_words=("1,000 requests", " 0 failed"))
    run("tidegate log -n 3")


def block() -> None:
    """A commit that made the model worse."""
    say("4. Somebody commits labels of which 30 % are wrong. The gate blocks.")
    edit("params.yaml", "flip: 0.0", "flip: 0.3")
    run("tidegate repro")
    commit("Use the new labels")
    run("tidegate gate", expect=BLOCKED, expect_words=("BLOCK",))
    run("git revert --no-edit HEAD", quiet=True)


def too_small() -> None:
    """A change that these rows cannot judge."""
    say("5. One level less in each tree: too small a change for 898 rows. The gate says how many it takes.")
    edit("params.yaml", "max_depth: 12", "max_depth: 11")
    run("tidegate repro")
    commit("Prune a level")
    run("tidegate gate", expect=UNDECIDED, expect_words=("UNDERPOWERED", "labeled rows, has 898"))
    run("git revert --no-edit HEAD", quiet=True)


def better() -> None:
    """A better model passes, is canaried and promoted by itself."""
    say("6. Forty trees: better beyond doubt. It becomes the canary; real traffic promotes it.")
    edit("params.yaml", "trees: 10", "trees: 40")
    run("tidegate repro")
    commit("Grow forty trees")
    run("tidegate gate", expect_words=("PASS",))
    run("tidegate plan")
    run("tidegate apply", expect_words=("takes 10% of the traffic",))
    run("tidegate replay --until decided --rate 800", expect_words=(" 0 failed", "promoted"))
    run("tidegate rollout status", expect_words=("canary is safe",))


def wrong_answers() -> None:
    """Every reply is 200 and nearly every answer wrong: only the labels know."""
    say("7. A list of class names in the wrong order: every reply is 200, the answers are wrong.")
    print("   The pipeline did not change, so the gate's verdict stands. The late labels object.")
    edit("tidegate.toml", 'labels = ["0", "1", "2",', 'labels = ["1", "2", "0",')
    commit("Tidy up the class names")
    run("tidegate gate", expect_words=("PASS",))
    run("tidegate plan", expect_words=("labels.json",))
    run("tidegate apply")
    run("tidegate replay --until decided --rate 800", expect_words=(" 0 failed", "rolled back"))
    words = ("canary is worse: wrong_rate", "E = ", "s after the start")
    run("tidegate rollout status", expect=BLOCKED, expect_words=words)
    run("git revert --no-edit HEAD", quiet=True)


def shift() -> None:
    """The inputs change; the monitor says which."""
    say("8. The scanner gets brighter. No labels yet, but the monitor names the columns that moved.")
    run("tidegate replay --shift brighter --no-labels --until alert --rate 800", expect_words=("drift",))
    run("tidegate ps", expect_words=("drift: live rows differ from the reference", "p"))


def roll_back() -> None:
    """Back to the previous bundle, under load."""
    say("9. Back to the previous bundle while requests keep coming.")
    load = start("tidegate replay --seconds 4 --rate 800")
    began = time.monotonic()
    run("tidegate rollback", expect_words=("release 3 is live",))
    waited = _wait_for_release(3, until=began + 5)
    print(f"the first reply of release 3 came {waited - began:.2f} s after the command was typed")
    if waited - began > 2:
        raise SurpriseError("the rollback took longer than announced")
    finish(load, expect_words=(" 0 failed",))
    run("tidegate ps", expect_words=("release 3 (rollback)",))


def prove() -> None:
    """The record of it all."""
    say("10. Every step is in the ledger, each entry chained to the one before.")
    run("tidegate audit log")
    run("tidegate audit verify", expect_words=("the chain is unbroken",))


def say(text: str) -> None:
    """A heading."""
    bold = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"\n\033[1m{text}\033[0m" if bold else f"\n{text}", flush=True)


def run(command: str, *, expect: int = PASS, expect_words: Text = (), quiet: bool = False) -> Done:
    """Print a command and its output, and hold it to its announced exit code and words."""
    if not quiet:
        print(f"$ {command}", flush=True)
    return finish(start(command, show=not quiet), expect=expect, expect_words=expect_words, show=False)


class Started(NamedTuple):
    """A command on its way, and the lines that it printed so far."""

    command: str
    process: "subprocess.Popen[str]"
    lines: list[str]


def start(command: str, *, show: bool = False) -> Started:
    """Start a command; with `show` its lines appear as they come, until it ends."""
    process = subprocess.Popen(
        command.split() if '"' not in command else ["sh", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started = Started(command, process, [])
    if show:
        _read(started, show=True)
    return started


def finish(started: Started, *, expect: int = PASS, expect_words: Text = (), show: bool = True) -> Done:
    """Wait for a command's end and check its outcome."""
    if show:
        print(f"$ {started.command}", flush=True)
    _read(started, show=show)
    code = started.process.wait(TIMEOUT_S)
    out = "".join(started.lines)
    if code != expect:
        raise SurpriseError(f"`{started.command}` ended with exit code {code}, not {expect}\n{out}")
    missing = [words for words in expect_words if words not in out]
    if missing:
        raise SurpriseError(f"`{started.command}` did not say `{missing[0]}`\n{out}")
    return Done(code, out)


def _read(started: Started, *, show: bool) -> None:
    assert started.process.stdout
    for line in started.process.stdout:
        started.lines.append(line)
        if show:
            print(line, end="", flush=True)


def edit(name: str, old: str, new: str) -> None:
    """Change a line of a file, as a person would in an editor."""
    path = Path(name)
    text = path.read_text()
    if text.count(old) != 1:
        raise SurpriseError(f"{name} holds `{old}` {text.count(old)} times, not once")
    path.write_text(text.replace(old, new))
    print(f"# {name}: {old} -> {new}")


def commit(message: str) -> None:
    """Commit everything."""
    run("git add --all", quiet=True)
    print(f'$ git commit -am "{message}"', flush=True)
    run(f'git commit --quiet --message "{message}"', quiet=True)


def _begin(folder: Path) -> None:
    say("0. A project as init writes it: scikit-learn's handwritten digits, 1,797 images of 8 x 8.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(folder.parent)
    print(f"$ tidegate init {folder.name} --example digits && cd {folder.name}")
    done = run(f"tidegate init {folder.name} --example digits", quiet=True)
    print("".join(done.out.splitlines(keepends=True)[-2:]), end="")
    os.chdir(folder)
    port = _free_port()
    if port != DEFAULT_PORT:
        edit("tidegate.toml", f"127.0.0.1:{DEFAULT_PORT}", f"127.0.0.1:{port}")


def _forget(folder: Path) -> None:
    """End and remove what an earlier demo left."""
    if (folder / "tidegate.toml").exists():
        subprocess.run(["tidegate", "down"], cwd=folder, capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    """The usual port, or a free one when somebody has it."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _wait_for_release(number: int, *, until: float) -> float:
    """When the endpoint first answered under a release."""
    settings = Path("tidegate.toml").read_text()
    address = re.search(r'^address = "(.+):(\d+)"', settings, flags=re.MULTILINE)
    rows = Path("data/processed/test.csv").read_text().splitlines()
    body = '{"row": [' + ",".join(rows[1].split(",")[2:]) + "]}"
    assert address
    while time.monotonic() < until:
        if _release_of(address[1], int(address[2]), body) == str(number):
            return time.monotonic()
    raise SurpriseError(f"release {number} did not answer in time")


def _release_of(host: str, port: int, body: str) -> str | None:
    import http.client

    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("POST", "/predict", body)
        return connection.getresponse().headers["x-tidegate-release"]
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    """This environment's commands first; a name for the commits where the person has none."""
    name = subprocess.run(["git", "config", "user.email"], capture_output=True, text=True, check=False)
    found = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    if not name.stdout.strip():
        for role in ("AUTHOR", "COMMITTER"):
            found |= {f"GIT_{role}_NAME": "demo", f"GIT_{role}_EMAIL": "demo@localhost"}
    return found


def _shown(path: Path) -> str:
    """A path as short as it can be written from where the demo was started."""
    here = Path(os.environ.get("PWD", "/"))
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    main()
