"""`tidegate dag`: draw which stage needs which."""

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.flow.dag import Asked, dag, edges, render_dot, render_mermaid, render_tree
from tidegate.store.layout import find_root, standing


@click.command("dag")
@click.argument("target", required=False, default="")
@click.option("--dot", is_flag=True, help="Print the DOT language of Graphviz.")
@click.option("--mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@click.option("--md", "markdown", is_flag=True, help="Print a Mermaid flowchart as a block of Markdown.")
@click.option(
    "--collapse-foreach-matrix", "collapse", is_flag=True, help="Each foreach or matrix as one stage."
)
@click.option("--full", is_flag=True, help="All that TARGET is connected with, not only what it needs.")
@click.option("-o", "--outs", is_flag=True, help="Files instead of stages.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="As without; for scripts written for dvc.")
@json_option
def command(target: str, *, as_json: bool, quiet: bool, verbose: bool, **options: bool) -> None:
    """Draw the stages, or what TARGET, a stage or an out, needs: sources first, what uses them below.

    \b
    Example:
      tidegate dag
      tidegate dag train --mermaid
    """
    root = find_root()
    asked = Asked(target, standing(root), options["full"], options["outs"], options["collapse"])
    needs = dag(root, asked)
    if as_json:
        print_json(
            {"nodes": list(needs), "edges": [{"from": one, "to": other} for one, other in edges(needs)]}
        )
    elif not quiet:
        say(_drawn(needs, options))


def _drawn(needs: dict[str, tuple[str, ...]], options: dict[str, bool]) -> str:
    if options["dot"]:
        return render_dot(needs)
    if options["markdown"]:
        return f"```mermaid\n{render_mermaid(needs)}\n```"
    return render_mermaid(needs) if options["mermaid"] else render_tree(needs)
