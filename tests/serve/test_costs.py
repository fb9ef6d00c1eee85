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


def test_the_quickest_of_the_last_four_counts() -> None:
    costs = Costs()
    for seconds in (0.01, 0.064, 0.6, 0.6):
        costs.learn("d", 64, seconds=seconds)
    assert costs.expected_s("d", 64) == pytest.approx(0.01)
    costs.learn("d", 64, seconds=0.6)
    assert costs.expected_s("d", 64) == pytest.approx(0.064)
    for _ in range(3):
        costs.learn("d", 64, seconds=0.6)
    assert costs.expected_s("d", 64) == pytest.approx(0.6)
