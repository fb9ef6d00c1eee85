import subprocess
from pathlib import Path

import pytest

from tidegate.flow.autostage import autostage
from tidegate.pipeline.project import open_project


@pytest.mark.parametrize(
    ("core", "in_git", "left", "staged"),
    [
        ("", True, ("x.dvc",), ""),
        ("autostage = true", True, (), "x.dvc\n"),
        ("no_scm = true", True, (), ""),
        ("", False, (), ""),
    ],
)
def test_changed_files_go_to_git_or_to_the_user(
    tmp_path: Path, core: str, in_git: bool, left: tuple[str, ...], staged: str
):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(f"[core]\n    {core}\n")
    (tmp_path / "x.dvc").write_text("outs: []\n")
    if in_git:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with open_project(tmp_path) as project:
        assert autostage(project, ["x.dvc", "x.dvc"]) == left
    listed = subprocess.run(
        ["git", "-C", str(tmp_path), "ls-files"], capture_output=True, text=True, check=False
    )
    assert listed.stdout == staged
