import pytest

from tidegate.data.params import ABSENT, load_python_params, look_up
from tidegate.data.statcache import StatCache
from tidegate.data.yaml import read_document
from tidegate.errors import UsageError

VALUES = {
    "lr": 1,
    "none": None,
    "train": {"trees": 2, "layers": [10, {"k": [20, 30]}], "lr_a": 4, "lr_b": 5},
    3: "three",
    "a.b": 6,
    "odd[0]": 7,
}


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("lr", 1),
        ("none", None),
        ("train.trees", 2),
        ("train.layers.0", 10),
        ("train.layers.1.k.-1", 30),
        ("train.layers.2", ABSENT),
        ("train.layers.x", ABSENT),
        (".lr", 1),
        ("3", "three"),
        ("train.*_a", 4),
        ("train.lr_*", ABSENT),
        ("train.lay*.[0]", 10),
        ("lr.x", ABSENT),
        ("a.b", ABSENT),
        ("odd[0]", ABSENT),
        ("missing", ABSENT),
        ("train.missing", ABSENT),
    ],
)
def test_a_dotted_key_finds_one_value_or_none(key, wanted):
    assert look_up(VALUES, key) == wanted


PYTHON = '''
"""Says "\\d"."""
import os

lr = -0.1
typed: int = 3
declared: int
pair = (1, (2, "x"))
unordered = {2, 1}
mapping = {"x": (1, 2), "y": -1}
first, second = 1, 2
both = either = 3
computed = os.getpid()
raw = b"x"
unusable = {[1]: 2}


class Model:
    depth = 1

    class Inner:
        width = [1, None]

    def __init__(self):
        self.rate = 5
        local = 6
        self.child.rate = 7
        self.made = local + 1

    def other(self):
        self.never = 1


def function():
    never = 1


if lr:
    never = 1
'''


def test_a_python_file_gives_its_literals_and_is_never_run():
    assert load_python_params(PYTHON, "p.py") == {
        "lr": -0.1,
        "typed": 3,
        "pair": [1, [2, "x"]],
        "unordered": [1, 2],
        "mapping": {"x": [1, 2], "y": -1},
        "Model": {"depth": 1, "Inner": {"width": [1, None]}, "rate": 5},
    }


def test_what_is_not_python_is_named_with_line_and_column():
    with pytest.raises(UsageError, match=r"p\.py:2:5: .*expected Python"):
        load_python_params("a = 1\nb = (\n", "p.py")
    with pytest.raises(UsageError, match=r"^p\.py: .*null bytes, expected Python"):
        load_python_params("a = 1\0", "p.py")


def test_a_python_file_is_read_like_every_other_document(tmp_path):
    (tmp_path / "p.py").write_text("lr = 1\n")
    assert read_document(tmp_path / "p.py", "p.py", StatCache(tmp_path / "stat.json")) == {"lr": 1}
    with pytest.raises(UsageError, match="is a directory"):
        read_document(tmp_path, "d", StatCache(tmp_path / "stat.json"))
