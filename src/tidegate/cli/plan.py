"""`tidegate plan`: build the bundle and show what a release would change; nothing goes live."""

from pathlib import Path

import click

from tidegate.cli.gate import EXIT_CODES, print_decision
from tidegate.cli.output import json_option, print_json, say, short
from tidegate.domain import Decision
from tidegate.flow.plan import plan, plan_bundle
from tidegate.flow.release import Plan
from tidegate.rollout.plan import Expected
from tidegate.store.layout import find_root


@click.command("plan")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan here.")
@click.option("--bundle", metavar="DIGEST", default="", help="Release this bundle, as one that was imported.")
@json_option
def command(*, out: Path | None, bundle: str, as_json: bool) -> int:
    """Build and sign the candidate's bundle and write down what `tidegate apply` would do.

    Needs a `pass` of `tidegate gate` on the same evaluation rows; exits 3 or 4 with the verdict otherwise.

    \b
    Example:
      tidegate plan
      tidegate plan --out release.json && tidegate apply release.json
      tidegate bundle import digits.tar && tidegate budget pull && tidegate plan --bundle 3f9c
    """
    made = plan_bundle(find_root(), bundle, out) if bundle else plan(find_root(), out)
    if as_json:
        print_json(made)
    elif not isinstance(made, Decision):
        _print_plan(made, out)
    else:
        print_decision(made)
    return EXIT_CODES[made.verdict] if isinstance(made, Decision) else 0


def _print_plan(made: Plan, out: Path | None) -> None:
    say(f"plan {made.id} for {made.endpoint}", bold=True)
    if made.action == "nothing":
        say(f"  = bundle   {short(made.bundle)} is live already, nothing to do")
        return
    say(
        f"  + bundle   {short(made.bundle)}  version {made.version}, signed, commit {made.commit[:7] or 'none'}"
    )
    for note in made.notes:
        say(f"    model    {note}")
    for name, (old, new) in made.changes.items():
        say(f"  ~ param    {name}: {old} -> {new}")
    if made.parts:
        say(f"  ~ files    {', '.join(made.parts)}")
    for line in _traffic(made):
        say(f"  {line}")
    for one in made.expected:
        say(f"    expect   {one.metric}: {_expectation(one)}")
    say(f"carry it out with: tidegate apply{f' {out}' if out else ''}")


def _expectation(one: Expected) -> str:
    units = "labels" if one.metric == "wrong_rate" else "requests"
    if one.units is None:
        return f"an equally good candidate would stay undecided at a base rate of {one.base_rate:.1%}"
    return f"an equally good candidate is through after about {one.units:,} {units}, base rate {one.base_rate:.1%}"


def _traffic(made: Plan) -> list[str]:
    if made.action == "release":
        return [f"+ release  1: all traffic to {short(made.bundle)}, nothing is live yet"]
    steps = " -> ".join(f"{share:.0%}" for share in (*made.steps, 1.0))
    return [
        f"~ traffic  {short(made.stable or '')} (release {made.basis}) -> {short(made.bundle)} by canary {steps}"
    ]
