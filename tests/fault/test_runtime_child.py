"""Models that crash, hang, fill the memory or talk nonsense: no other bundle misses an answer, and no process stays."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tidegate.data.contract import Column, Contract, render_contract
from tidegate.errors import TidegateError, UnavailableError, UsageError
from tidegate.project import Bytes, Runtime, Seconds
from tidegate.registry.load import Bundle, open_bundle
from tidegate.registry.model import LoadedModel, load_model
from tidegate.registry.pack import pack

PATIENCE_S = 60
CONTRACT = Contract("small", (Column("a", "number"), Column("b", "number")))
ROWS = np.array([[1.0, 2.0], [2.0, 3.0]])
POISON = np.array([[-1.0, 0.0]])
SETTINGS = Runtime(timeout=Seconds(1), memory=Bytes(1_500_000_000))
CLASS = """
import os, re, signal, time
import numpy as np
from tidegate import Predictor

def link(number):
    return os.path.realpath(f"/proc/self/fd/{number}")

class Own(Predictor):
    def predict(self, rows):
        if rows["a"][0] == -1:
            HARM
        return rows["a"] + rows["b"]
"""
# a regular expression of exponential time never gives another thread its turn
STUCK = "re.match('(a+)+$', 'a' * 64 + 'b')"
HARMS = {
    "crash": "os.kill(os.getpid(), signal.SIGSEGV)",
    "exit": "os._exit(0)",
    "endless loop": "while True: pass",
    "stuck in C": STUCK,
    "memory": "kept = []\n            while True: kept.append(np.ones(10_000_000))",
    "abort": "os.abort()",
    "recursion": "sys = __import__('sys'); sys.setrecursionlimit(10**9); f = lambda: [f()]; f()",
    "garbage": "[os.write(n, b'nonsense' * 9) for n in range(3, 64) if 'socket' in link(n)]",
}

Load = Callable[..., LoadedModel]


@pytest.fixture
def bundle(tmp_path) -> Callable[[dict[str, bytes], str, str], Bundle]:
    """A signed bundle of a model's files, its form, and the file or class to begin with."""

    def make(files: dict[str, bytes], form: str, name: str) -> Bundle:
        record = {"format": form, "name": name, "source": name, "versions": {}}
        parts = {
            **files,
            "runtime.json": json.dumps(record).encode(),
            "contract.odcs.yaml": render_contract(CONTRACT).encode(),
            "labels.json": b"[]",
        }
        digest = pack(tmp_path / "bundles", tmp_path / "keys", parts, name="small")
        return open_bundle(tmp_path / "bundles", digest, keys=tmp_path / "keys", require=True)

    return make


@pytest.fixture
def load(bundle) -> Iterator[Load]:
    """Load a predictor that does this harm when it is asked with the poisoned row."""
    loaded: list[LoadedModel] = []

    def make(harm: str, settings: Runtime = SETTINGS) -> LoadedModel:
        files = {"predictor.py": CLASS.replace("HARM", harm).encode()}
        loaded.append(load_model(bundle(files, "predictor", "Own"), settings=settings))
        return loaded[-1]

    yield make
    for model in loaded:
        model.close()


class Asker:
    """Asks a model again and again in a thread of its own, and keeps what was wrong."""

    def __init__(self, model: LoadedModel) -> None:
        self.wrong: list[object] = []
        self.answers = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(model,))
        self._thread.start()

    def _ask(self, model: LoadedModel) -> None:
        while not self._over.is_set():
            try:
                found = model.predict(ROWS)[0]
            except TidegateError as error:
                found = [str(error)]
            self.answers += 1
            if found != [3.0, 5.0]:
                self.wrong.append(found)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


def ask_until_back(model: LoadedModel) -> list[object]:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            return list(model.predict(ROWS)[0])
        except UnavailableError:
            time.sleep(0.01)
    pytest.fail("the model did not come back")


def is_gone(pid: int) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat")
        try:
            if state.read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("harm", HARMS)
def test_what_one_model_does_no_other_notices(load, harm) -> None:
    other, bad = load("pass"), load(HARMS[harm])
    asker = Asker(other)
    with pytest.raises(TidegateError, match=r"^model: "):
        bad.predict(POISON)
    assert ask_until_back(bad) == [3.0, 5.0]
    asker.stop()
    assert asker.answers
    assert asker.wrong == []


def test_out_of_memory_fails_the_call_and_not_the_process(load) -> None:
    model = load("return np.ones(10**10)")
    pid = model.remote.pid
    with pytest.raises(UsageError, match=r"^model: out of memory$"):
        model.predict(POISON)
    assert model.predict(ROWS)[0] == [3.0, 5.0]
    assert model.remote.pid == pid


def test_a_process_killed_in_the_middle_of_a_call_fails_that_call_only(load, tmp_path) -> None:
    started = tmp_path / "started"
    model = load(
        f"open({str(started)!r}, 'w').close(); time.sleep(600)", Runtime(timeout=Seconds(PATIENCE_S))
    )
    pid = model.remote.pid

    def kill() -> None:
        until = time.monotonic() + PATIENCE_S
        while not started.exists() and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(TidegateError, match=r"^model: its process was ended by SIGKILL"):
        model.predict(POISON)
    killer.join()
    assert ask_until_back(model) == [3.0, 5.0]


def test_a_process_killed_between_calls_is_noticed_by_the_next_and_comes_back(load) -> None:
    model = load("pass")
    os.kill(model.remote.pid, signal.SIGKILL)
    with pytest.raises(TidegateError, match="ended by SIGKILL"):
        model.predict(ROWS)
    assert ask_until_back(model) == [3.0, 5.0]


HOST = """
import sys
from pathlib import Path
from tidegate.project import Runtime, Seconds
from tidegate.registry.load import open_bundle
from tidegate.registry.model import load_model
import numpy as np
root = Path(sys.argv[1])
bundle = open_bundle(root / "bundles", sys.argv[2], keys=root / "keys", require=True)
model = load_model(bundle, settings=Runtime(timeout=Seconds(600)))
print(model.remote.pid, flush=True)
sys.stdin.readline()
model.predict(np.array([[-1.0, 0.0]]))
"""


@pytest.mark.parametrize("asked", [False, True], ids=["idle", "stuck"])
def test_when_the_gateway_is_killed_no_model_stays(bundle, tmp_path, asked) -> None:
    stuck = f"open('{tmp_path}/started', 'w').close(); {STUCK}"
    own = bundle({"predictor.py": CLASS.replace("HARM", stuck).encode()}, "predictor", "Own")
    command = [sys.executable, "-c", HOST, str(tmp_path), own.digest]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdin
        assert host.stdout
        pid = int(host.stdout.readline())
        if asked:
            host.stdin.write("\n")
            host.stdin.flush()
            until = time.monotonic() + PATIENCE_S
            while not (tmp_path / "started").exists() and time.monotonic() < until:
                time.sleep(0.01)
            assert (tmp_path / "started").exists()
        host.kill()
    assert is_gone(pid)


def test_a_tree_whose_feature_lies_outside_of_the_row_crashes_its_own_process_alone(bundle, load) -> None:
    """scikit-learn does not look before it reads (issue 34558 there)."""
    skops = pytest.importorskip("skops.io")
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier().fit(ROWS, [0, 1])
    state = tree.tree_.__getstate__()
    state["nodes"]["feature"][0] = 2**30
    tree.tree_.__setstate__(state)
    trust = ("sklearn.tree._tree.Tree",)
    other = load("pass")
    asker = Asker(other)
    with pytest.raises(TidegateError, match=r"(ended by SIGSEGV|model: ValueError|cannot be loaded)"):
        ask_tree(bundle({"model.skops": skops.dumps(tree)}, "skops", "model.skops"), trust)
    asker.stop()
    assert asker.answers
    assert asker.wrong == []


def ask_tree(bundle: Bundle, trust: tuple[str, ...]) -> None:
    model = load_model(bundle, settings=Runtime(trust=trust))
    try:
        model.predict(ROWS)
    finally:
        model.close()


@pytest.mark.parametrize(
    ("form", "name"), [("xgboost", "model.ubj"), ("xgboost", "model.json"), ("lightgbm", "model.txt")]
)
@pytest.mark.parametrize("data", [b"{", b"tree\nversion=v4\nnum_class=99999999\n"])
def test_a_file_that_is_no_model_harms_no_other(bundle, load, form, name, data) -> None:
    pytest.importorskip(form)
    other = load("pass")
    with pytest.raises(TidegateError, match=r"^bundle \w{12}: its model "):
        load_model(bundle({name: data}, form, name))
    assert other.predict(ROWS)[0] == [3.0, 5.0]
