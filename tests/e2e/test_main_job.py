"""The main job on real images, one command after the other, as a person types it.

The tests of this file build on each other in their order.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

LAYOUT = [
    "data/raw/images/0000.png",
    "data/raw/labels.csv",
    "src/data_preprocessing.py",
    "src/train.py",
    "src/inference.py",
    "tests/test_data_processing.py",
    "tests/test_training.py",
    "tests/test_inference.py",
    "Dockerfile",
    "requirements.txt",
    ".github/workflows/ci.yml",
    "README.md",
    "params.yaml",
    "dvc.yaml",
    "tidegate.toml",
    ".gitignore",
]


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout


def _kinds(run: Callable, root: Path) -> list[str]:
    return [event["kind"] for event in run(root, "audit", "log", "--json").json]


def _set_params(root: Path, **train: object) -> None:
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["train"] |= train
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def _heldout(root: Path, count: int) -> list[tuple[list[float], str]]:
    """Pixels and label of the first held-out rows."""
    lines = (root / "data/processed/test.csv").read_text().splitlines()[1 : count + 1]
    cells = [line.split(",") for line in lines]
    return [([float(value) for value in row[2:]], row[1]) for row in cells]


def test_init_writes_the_recommended_layout_and_commits_it(built: Path) -> None:
    assert [name for name in LAYOUT if not (built / name).is_file()] == []
    assert len(list((built / "data/raw/images").glob("*.png"))) == 1797
    assert len(_git(built, "log", "--oneline").splitlines()) == 1


def test_init_again_writes_nothing_over(digits: Path, run: Callable) -> None:
    (digits / "README.md").write_text("mine\n")
    run(digits, "init")
    assert (digits / "README.md").read_text() == "mine\n"


def test_dvc_finds_everything_up_to_date_after_repro(built: Path, tmp_path: Path, checkout: Path) -> None:
    copy = shutil.copytree(built, tmp_path / "digits", symlinks=True)
    done = subprocess.run(
        [str(checkout / ".tools/dvc/bin/dvc"), "status"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "Data and pipelines are up to date."), done.stderr


def test_repro_again_runs_nothing_and_says_why(digits: Path, run: Callable) -> None:
    before = (digits / "dvc.lock").read_bytes()
    stages = run(digits, "repro", "--json").json["stages"]
    assert len(stages) == 3
    assert (digits / "dvc.lock").read_bytes() == before


def test_gate_passes_the_first_model_by_its_floors(digits: Path, run: Callable) -> None:
    decision = run(digits, "gate", "--json").json
    assert decision["verdict"] == "pass"
    assert decision["baseline"] is None
    assert all(finding["because"] for finding in decision["findings"])


def test_asking_the_gate_again_is_free(digits: Path, run: Callable) -> None:
    first, second = (run(digits, "gate", "--json").json for _ in range(2))
    assert first == second
    assert _kinds(run, digits).count("gate.decided") == 1


def test_plan_shows_the_release_and_changes_nothing(digits: Path, run: Callable) -> None:
    planned = run(digits, "plan", "--json").json
    assert (planned["action"], planned["version"]) == ("release", 1)
    assert "release.applied" not in _kinds(run, digits)
    run(digits, "bundle", "verify", planned["bundle"])


def test_apply_releases_once(digits: Path, run: Callable) -> None:
    assert run(digits, "apply", "--json").json["release"]["number"] == 1
    assert run(digits, "apply", "--json").json["release"] is None
    assert _kinds(run, digits).count("release.applied") == 1


def test_the_live_model_answers_and_names_its_release(digits: Path, endpoint) -> None:
    rows = _heldout(digits, 20)
    reply = endpoint.ask(
        "POST", "/predict", {"rows": [pixels for pixels, _ in rows]}, {"x-request-id": "first"}
    )
    assert reply.status == 200
    assert reply.headers["x-request-id"] == "first"
    assert reply.headers["x-tidegate-release"] == "1"
    assert reply.body["ids"] == [f"first.{n}" for n in range(20)]
    right = sum(str(got) == truth for got, (_, truth) in zip(reply.body["predictions"], rows, strict=True))
    assert right >= 15


def test_the_open_inference_protocol_gives_the_same_answers(digits: Path, endpoint) -> None:
    rows = [pixels for pixels, _ in _heldout(digits, 5)]
    plain = endpoint.ask("POST", "/predict", {"rows": rows}).body["predictions"]
    model = endpoint.ask("GET", "/v2/models/digits").body
    tensor = model["inputs"][0]
    data = [value for row in rows for value in row]
    body = {
        "inputs": [{"name": tensor["name"], "shape": [5, 64], "datatype": tensor["datatype"], "data": data}]
    }
    reply = endpoint.ask("POST", "/v2/models/digits/infer", body)
    assert reply.status == 200, reply.body
    assert [str(value) for value in reply.body["outputs"][0]["data"]] == [str(value) for value in plain]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"])
def test_health_is_green(path: str, endpoint) -> None:
    assert endpoint.ask("GET", path).status == 200


INFER = "/v2/models/digits/infer"
TENSOR = {"name": "rows", "shape": [1, 64], "datatype": "FP32"}
BAD_REQUESTS = {
    "no JSON": ("POST", "/predict", b'{"rows": [', 400),
    "no rows": ("POST", "/predict", {"row_s": []}, 400),
    "row too short": ("POST", "/predict", {"rows": [[0.0] * 63]}, 400),
    "text for a number": ("POST", "/predict", {"rows": [["a"] * 64]}, 400),
    "rows is a number": ("POST", "/predict", {"rows": 3}, 400),
    "no inputs": ("POST", INFER, {}, 400),
    "data shorter than shape": ("POST", INFER, {"inputs": [TENSOR | {"data": [0.0] * 63}]}, 400),
    "wrong shape": ("POST", INFER, {"inputs": [TENSOR | {"shape": [2, 32], "data": [0.0] * 64}]}, 400),
    "wrong datatype": ("POST", INFER, {"inputs": [TENSOR | {"datatype": "BYTES", "data": ["a"] * 64}]}, 400),
    "unknown model": ("POST", "/v2/models/letters/infer", {"inputs": []}, 404),
    "unknown version": ("POST", "/v2/models/digits/versions/99/infer", {"inputs": []}, 404),
    "unknown route": ("GET", "/nothing", None, 404),
    "wrong method": ("GET", "/predict", None, 405),
    "labels without id": ("POST", "/labels", {"labels": [{"truth": 3}]}, 400),
    "too large": ("POST", "/predict", b"[" * 8_000_001, 413),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_gets_its_status_and_a_sentence(case: str, endpoint) -> None:
    method, path, body, status = BAD_REQUESTS[case]
    reply = endpoint.ask(method, path, body)
    assert reply.status == status, reply.body
    assert reply.body["error"]


def test_the_endpoint_still_answers_after_every_bad_request(digits: Path, endpoint) -> None:
    pixels, _ = _heldout(digits, 1)[0]
    assert endpoint.ask("POST", "/predict", {"row": pixels}).status == 200


def test_every_answer_is_in_the_prediction_log(digits: Path, endpoint, run: Callable) -> None:
    pixels, truth = _heldout(digits, 1)[0]
    endpoint.ask("POST", "/predict", {"row": pixels}, {"x-request-id": "seen", "x-user": "ada"})
    reply = endpoint.ask("POST", "/labels", {"labels": [{"request": "seen", "truth": truth}]})
    assert (reply.status, reply.body["accepted"]) == (202, 1)
    rows = run(digits, "log", "--json").json
    found = [row for row in rows if row["request"] == "seen"]
    assert [(row["unit"], row["status"], row["role"]) for row in found] == [("ada", 200, "stable")]


def test_predict_asks_the_live_model(digits: Path, endpoint, run: Callable) -> None:
    reply = run(digits, "predict", "data/processed/test.csv", "--json").json
    assert len(reply["predictions"]) >= 1


def test_ps_shows_what_is_live(digits: Path, endpoint, run: Callable) -> None:
    assert "digits" in run(digits, "ps").out


def test_a_model_on_flipped_labels_is_blocked(digits: Path, run: Callable, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(digits, tmp_path / "flipped", symlinks=True))
    params = yaml.safe_load((copy / "params.yaml").read_text())
    params["data"]["flip"] = 0.6
    (copy / "params.yaml").write_text(yaml.safe_dump(params))
    run(copy, "repro")
    decision = run(copy, "gate", "--json", expect=3).json
    assert decision["verdict"] == "block"
    assert run(copy, "plan", "--json", expect=3).json["verdict"] == "block"


def test_a_better_model_passes_and_becomes_a_canary(
    digits: Path, endpoint, run: Callable, until: Callable
) -> None:
    _set_params(digits, trees=40)
    run(digits, "repro")
    assert run(digits, "gate", "--json").json["verdict"] == "pass"
    assert run(digits, "plan", "--json").json["action"] == "rollout"
    rollout = run(digits, "apply", "--json").json["rollout"]
    assert (rollout["phase"], 0 < rollout["weight"] < 1) == ("running", True)
    until(lambda: "canary" in _roles(digits, endpoint, 40))


def _roles(root: Path, endpoint, count: int) -> set[str]:
    pixels, _ = _heldout(root, 1)[0]
    replies = [endpoint.ask("POST", "/predict", {"row": pixels}, {"x-user": f"u{n}"}) for n in range(count)]
    assert {reply.status for reply in replies} == {200}
    return {reply.headers["x-tidegate-role"] for reply in replies}


def test_a_second_plan_is_refused_while_a_rollout_runs(digits: Path, run: Callable) -> None:
    done = run(digits, "plan", expect=1)
    assert "rollout" in done.err


def test_promoting_makes_the_candidate_the_next_release(
    digits: Path, endpoint, run: Callable, until: Callable
) -> None:
    run(digits, "rollout", "promote")
    pixels, _ = _heldout(digits, 1)[0]
    until(lambda: endpoint.ask("POST", "/predict", {"row": pixels}).headers["x-tidegate-release"] == "2")
    assert _kinds(run, digits)[-2:] == ["rollout.promoted", "release.applied"]


def test_a_stale_plan_is_refused(digits: Path, run: Callable) -> None:
    _set_params(digits, trees=41)
    run(digits, "repro")
    run(digits, "gate")
    run(digits, "plan", "--out", "stale.json")
    run(digits, "rollback", "--to", "1")
    done = run(digits, "apply", "stale.json", expect=1)
    assert "stale" in done.err
    run(digits, "rollback", "--to", "2")


def test_rollback_flips_within_a_second_under_load_and_no_request_fails(
    digits: Path, endpoint, run: Callable, until: Callable
) -> None:
    pixels, _ = _heldout(digits, 1)[0]
    seen: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            reply = endpoint.ask("POST", "/predict", {"row": pixels})
            seen.append((reply.status, reply.headers["x-tidegate-bundle"]))

    live = run(digits, "ps", "--json").json["live"]["bundle"]
    until(lambda: endpoint.ask("POST", "/predict", {"row": pixels}).headers["x-tidegate-bundle"] == live)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(seen) > 50)
        back_to = run(digits, "rollback", "--to", "1", "--json").json["bundle"]
        until(lambda: seen[-1][1] == back_to, seconds=5)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=20)
    assert {status for status, _ in seen} == {200}
    assert {bundle for _, bundle in seen} == {live, back_to}


def test_the_ledger_proves_the_whole_story_unbroken(digits: Path, run: Callable) -> None:
    run(digits, "audit", "verify")
    kinds = _kinds(run, digits)
    order = [
        "run.finished",
        "gate.decided",
        "bundle.registered",
        "release.applied",
        "rollout.started",
        "release.rolled_back",
    ]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "signature.json", "labels.json"])
def test_a_tampered_bundle_is_refused(name: str, digits: Path, run: Callable, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(digits, tmp_path / "tampered", symlinks=True))
    bundles = [path for path in (copy / ".tidegate/bundles").iterdir() if path.name[0] != "."]
    for bundle in bundles:
        path = bundle / name
        bundle.chmod(0o755)
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    assert (
        "differs" in run(copy, "bundle", "verify", bundles[0].name, expect=6).err or name == "signature.json"
    )
    run(copy, "gate", "--plan", expect=6)


def test_down_stops_everything_it_started(digits: Path, endpoint, run: Callable) -> None:
    pids = [int(path.read_text().split()[0]) for path in (digits / ".tidegate/run").glob("*.pid")]
    assert pids
    run(digits, "down")
    with pytest.raises(OSError, match="refused"):
        endpoint.ask("GET", "/healthz")
    assert [pid for pid in pids if _is_running(pid)] == []


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_the_tests_of_the_example_pass(built: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(built, tmp_path / "digits", symlinks=True)
    words = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
