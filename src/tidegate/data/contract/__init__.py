"""The data contract: one definition of the columns, in the Open Data Contract Standard v3.1, for all who read it.

The file is a valid document of the standard; what the standard has no word for stands under
`customProperties`, in names that begin with `tidegate.`. It is parsed once, into the records of `rules`, and
compiled for three places: tables (`check`), rows of JSON (`rows`), matrices at the endpoint (`bounds`).
"""

from tidegate.data.contract.odcs import API_VERSION
from tidegate.data.contract.parse import parse_contract
from tidegate.data.contract.render import render_contract
from tidegate.data.contract.rules import KINDS, Column, Contract
from tidegate.data.contract.values import infer_contract

__all__ = [
    "API_VERSION",
    "KINDS",
    "Column",
    "Contract",
    "infer_contract",
    "parse_contract",
    "render_contract",
]
