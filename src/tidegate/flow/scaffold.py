"""`init`: the recommended layout, written without touching what is there.

Files are written one by one and atomically, the example's images as one folder, so the same
command finishes what a killed one began.
"""

import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tidegate.domain import Record
from tidegate.errors import UsageError
from tidegate.store.files import write_atomic
from tidegate.store.git import first_commit, head_commit, is_inside

SUFFIX = ".jinja"
IMAGES = "data/raw/images"
LABELS = "data/raw/labels.csv"

Example = Literal["digits"]


class Scaffold(Record, frozen=True):
    """What `init` did: paths written and kept, relative to `root`; whether it made the first commit."""

    root: str
    name: str
    written: tuple[str, ...]
    kept: tuple[str, ...]
    committed: bool


class Digits(NamedTuple):
    """The example: 8x8 images with gray values 0 to 16, and the digit that each one shows."""

    images: Any
    labels: list[int]


def scaffold(root: Path, templates: Path, *, example: Example | None = None) -> Scaffold:
    """Add to `root` every missing file of the layout, and the first commit where there is none.

    Raises UsageError where a folder of the layout exists as a file, ModuleNotFoundError when the
    example's packages are not installed; then nothing was written.
    """
    digits = load_digits() if example else None
    name = example or project_name(root)
    added = {path: add_file(root / path, text) for path, text in render(templates, name, example=example)}
    if digits:
        added[LABELS] = add_file(root / LABELS, render_labels(digits.labels))
        added[IMAGES] = add_images(root / IMAGES, digits.images)
    committed = commit_layout(root)
    written = tuple(path for path, is_new in added.items() if is_new)
    kept = tuple(path for path, is_new in added.items() if not is_new)
    return Scaffold(str(root), name, written, kept, committed)


def project_name(root: Path) -> str:
    """The folder's name in the characters that a project's name may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", root.resolve().name).strip("-._") or "model"


def render(templates: Path, name: str, *, example: Example | None) -> Iterator[tuple[str, str]]:
    """Path and text of each file of the layout; a template that renders to nothing is left out."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the files are code and configuration, not pages
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    for template in environment.list_templates(extensions=[SUFFIX.lstrip(".")]):
        text = environment.get_template(template).render(name=name, digits=example == "digits")
        if text:
            yield template.removesuffix(SUFFIX), text


def add_file(path: Path, text: str) -> bool:
    """Write the file unless something is there; whether it was written."""
    if path.exists() or path.is_symlink():
        return False
    _make_folder(path.parent)
    write_atomic(path, text)
    return True


def load_digits() -> Digits:
    """The 1,797 handwritten digits that come with scikit-learn; needs the `examples` extra."""
    import PIL.Image  # noqa: F401 - found missing now, not after half the files are written
    from sklearn.datasets import load_digits as load

    data = load()
    return Digits(data.images.astype("uint8"), data.target.tolist())


def render_labels(labels: list[int]) -> str:
    """A CSV table with the id of each image and its digit."""
    lines = [f"{image:04d},{label}" for image, label in enumerate(labels)]
    return "\n".join(["id,label", *lines, ""])


def add_images(folder: Path, images: Any) -> bool:
    """Write every image as PNG unless the folder is there; it appears complete or not at all."""
    if folder.exists():
        return False
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for image, pixels in enumerate(images):
        (partial / f"{image:04d}.png").write_bytes(encode_png(pixels))
    partial.rename(folder)
    return True


def encode_png(pixels: Any) -> bytes:
    """Gray values 0 to 16 as a PNG that a person can look at: 15 times as bright."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels * 15).save(file, "png")
    return file.getvalue()


def commit_layout(root: Path) -> bool:
    """Make the repository and its first commit where there is none; whether it did."""
    part_of_another = is_inside(root) and not (root / ".git").exists()
    if part_of_another or (is_inside(root) and head_commit(root)):
        return False
    first_commit(root, "Start from the tidegate layout")
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            str(folder), "is a file, the layout needs a folder here", hint="move it away"
        ) from None
