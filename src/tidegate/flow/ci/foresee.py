"""What a run would do, told without doing it."""

from pathlib import Path
from typing import NamedTuple

from tidegate.flow.ci.contract import foresee_contract
from tidegate.flow.ci.stages import NO_PIPELINE, look_ahead
from tidegate.flow.ci.step import Intent, Name, counted
from tidegate.flow.ci.style import foresee_style
from tidegate.flow.ci.unit_tests import foresee_tests
from tidegate.pipeline.job import Step
from tidegate.project import load_config


class Foreseen(NamedTuple):
    """The intent of each step, in their order, and what is stale of the pipeline and why."""

    steps: tuple[tuple[Name, Intent], ...]
    stages: tuple[Step, ...]


def foresee(root: Path) -> Foreseen:
    """What `ci` would run if every check passed; errors as in reading tidegate.toml and dvc.yaml."""
    config = load_config(root)
    outlook = look_ahead(root)
    stale = sum(bool(step.reasons) for step in outlook.stages)
    affected = f"{stale:,} of {counted(len(outlook.stages), 'stage')} affected"
    stages = Intent((affected,)) if outlook.stages else Intent((), NO_PIPELINE)
    return Foreseen(
        (
            ("style", foresee_style(root, config.ci.style)),
            ("tests", foresee_tests(root, config.ci.tests)),
            ("contract", foresee_contract(root, config)),
            ("stages", stages),
            ("gate", Intent((f"judge {config.data.evaluation}",))),
        ),
        outlook.stages,
    )
