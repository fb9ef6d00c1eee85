"""What `tidegate ci` runs, as the table `[ci]` says it."""

from typing import Annotated, Literal

import msgspec

from tidegate.project.section import Seconds, Section


class Ci(Section, frozen=True):
    """What `tidegate ci` runs besides the pipeline and the gate, and where it leaves its report.

    `style` and `tests` are command lines; `auto` takes ruff and pytest where the project uses them, an empty text
    nothing. `flaky` is what a check counts as that failed before on the very same inputs and passes now.
    """

    style: str = "auto"
    tests: str = "auto"
    report: Annotated[str, msgspec.Meta(min_length=1)] = ".tidegate/ci"
    share: str = ""
    timeout: Seconds = Seconds(3600)
    flaky: Literal["warn", "fail"] = "warn"
