"""MLflow's own scoring client against a gateway: prints what each question brought, as JSON.

Usage: ask_mlflow.py DIGITS_HTTP PEOPLE_HTTP EMPTY_HTTP
"""

import json
import sys

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

ROWS = [[0.5, -1.25, 3.0], [9.0, 0.125, 2.0], [1 / 3, 7.0, 0.0]]
PEOPLE = pd.DataFrame(
    {
        "name": ["Ann", "Jürgen", ""],
        "age": [41, 7, 0],
        "height": [1.5, float("nan"), 2.25],
        "member": [True, False, False],
    }
)


def told(call):
    """What the call gives, or how it was refused; MLflow raises bare exceptions."""
    try:
        return call()
    except Exception as error:
        return {"error": str(error)}


def client_of(address):
    return ScoringServerClient(*address.split(":"))


def ask_digits(client):
    def invoke(data, **options):
        return told(lambda: client.invoke(data, **options).get_predictions("ndarray").tolist())

    table = pd.DataFrame(ROWS, columns=list("abc"))
    client.wait_server_ready(timeout=5)
    return {
        "table": invoke(table),
        "shuffled": invoke(table[["c", "a", "b"]]),
        "unnamed": invoke(pd.DataFrame(ROWS)),
        "indexed": invoke(table.set_index(pd.Index(["x", "y", "z"]))),
        "array": invoke(np.array(ROWS)),
        "list": invoke(ROWS),
        "records": invoke(json.dumps({"dataframe_records": table.to_dict(orient="records")})),
        "split": invoke(json.dumps({"dataframe_split": table.to_dict(orient="split")})),
        "instances": invoke(json.dumps({"instances": ROWS})),
        "named": invoke(json.dumps({"inputs": {name: table[name].tolist() for name in "abc"}})),
        "parameters": invoke(table, params={"temperature": 1}),
        "nan": invoke(table.assign(b=float("nan"))),
        "unknown": invoke(table.rename(columns={"a": "alpha"})),
        "text": invoke(table.assign(b="x")),
        "frame": told(lambda: client.invoke(table).get_predictions().to_dict(orient="list")),
        "version": told(client.get_version),
    }  # fmt: skip


def main(digits, people, empty):
    other = client_of(people)
    found = {
        "digits": ask_digits(client_of(digits)),
        "people": other.invoke(PEOPLE).get_predictions("ndarray").tolist(),
        "empty": told(client_of(empty).ping),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
