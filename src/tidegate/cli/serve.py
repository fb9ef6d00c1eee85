"""`tidegate serve`: the gateway in the foreground."""

from importlib.util import find_spec

import click

from tidegate.cli.output import json_option, print_json, say
from tidegate.errors import missing_extra
from tidegate.flow.endpoint import Address
from tidegate.flow.serve_up import serve
from tidegate.store.layout import find_root

SERVING = ("grpc", "httptools", "numpy", "onnxruntime", "orjson", "prometheus_client", "uvloop")
WATCHING = ("scipy",)


@click.command("serve")
@click.option("--watch", is_flag=True, help="Also steer rollouts and watch quality, as `up` does.")
@json_option
def command(*, watch: bool, as_json: bool) -> None:
    """Serve the live bundle in the foreground, until interrupted, on `serve.address`.

    `POST /predict`, `POST /labels`, the Open Inference Protocol v2 below `/v2`, `/healthz`, `/readyz` and
    `/metrics`. The workers follow releases and rollouts within a second.

    \b
    Example:
      tidegate serve --watch
    """
    require_serving("serve")

    def listening(address: Address) -> None:
        if as_json:
            print_json({"url": address.url})
        else:
            say(f"{address.url} is listening, stop it with Ctrl-C")

    serve(find_root(), watch=watch, listening=listening)


def require_serving(name: str) -> None:
    """Raise the error that names the line to install, unless everything that serves and watches is here."""
    for extra, packages in (("serve", SERVING), ("local", WATCHING)):
        if any(find_spec(package) is None for package in packages):
            raise missing_extra(name, extra)
