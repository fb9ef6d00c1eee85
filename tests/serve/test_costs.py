"""What a batch is expected to take."""

import pytest

from tidegate.serve.costs import Costs


def test_a_batch_is_expected_to_take_what_one_of_its_size_took() -> None:
    costs = Costs()
    assert costs.expected_s("d", 1000) == 0
    costs.learn("d", 1, seconds=0.01)
    costs.learn("d", 64, seconds=0.064)
    assert costs.expected_s("d", 100) == pytest.approx(0.1)
    assert costs.expected_s("d", 8) == pytest.approx(0.08)
    assert costs.expected_s("e", 8) == 0


def test_what_was_learned_last_counts_most_but_not_alone() -> None:
    costs = Costs()
    costs.learn("d", 64, seconds=0.064)
    costs.learn("d", 100, seconds=0.6)
    assert costs.expected_s("d", 100) == pytest.approx(0.2)
