"""The budget of a test set: how often it may be asked, and at which error each time."""

import math
from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple


class Grant(NamedTuple):
    """What one version of a test set may be asked: `submissions` in all, `error` over all of them."""

    submissions: int
    error: float


class Account(NamedTuple):
    """What was asked of it: how many submissions, and how many of them passed."""

    submissions: int = 0
    passes: int = 0


def level(passes: int, *, submissions: int, error: float) -> float:
    """The error of the next submission after `passes` passes on this test set.

    error / (2^(j+1) C(H, j+1)): summed over every test that can be reached, it stays below `error`,
    whatever the submitter learned from the verdicts. 0 when every submission allowed has passed.
    """
    if passes >= submissions:
        return 0.0
    return error / (1 << (passes + 1)) / math.comb(submissions, passes + 1)


def record(account: Account, *, passed: bool) -> Account:
    """The account after one more submission: fold this over the verdicts in their order."""
    return Account(account.submissions + 1, account.passes + passed)


def balance(verdicts: Iterable[bool]) -> Account:
    """The account after all verdicts so far; a question asked again must not be among them."""
    return reduce(lambda account, passed: record(account, passed=passed), verdicts, Account())


def next_level(account: Account, grant: Grant) -> float:
    """The error of the next submission; 0 when none is left."""
    if account.submissions >= grant.submissions:
        return 0.0
    return level(account.passes, submissions=grant.submissions, error=grant.error)


def error_left(account: Account, grant: Grant) -> float:
    """The error that all tests still reachable add up to; what is spent is the rest of the grant.

    A test after k passes is reached by choosing which of the submissions left pass: C(H - s, k - j + 1) ways.
    """
    left = max(grant.submissions - account.submissions, 0)
    reachable = (
        math.comb(left, more + 1)
        * level(account.passes + more, submissions=grant.submissions, error=grant.error)
        for more in range(left)
    )
    return math.fsum(reachable)
