"""The next state: terminal phases absorb, steps go up one at a time, harm comes before everything."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.domain import TERMINAL_PHASES
from tidegate.errors import ConflictError
from tidegate.project import Guard
from tidegate.project import Rollout as Settings
from tidegate.rollout.decide import abort, counts, decide, e_text, pause, promote, resume, wait_text
from tidegate.rollout.measure import Evidence, GuardEvidence
from tidegate.rollout.plan import Expected

STEPS = (0.01, 0.05, 0.25)
HANDS = {"abort": abort, "promote": promote, "pause": pause, "resume": resume}
PHASES = ("running", "paused", "held", *sorted(TERMINAL_PHASES))
LAW = settings(max_examples=150, deadline=None, derandomize=True)

LEVELS = st.sampled_from([-math.inf, -3.0, 0.0, math.log(20), math.nextafter(math.log(20), 0), 9.0])
GUARDS = st.builds(
    GuardEvidence,
    st.sampled_from(["error_rate", "wrong_rate"]),
    canary_units=st.integers(0, 3),
    stable_units=st.integers(0, 3),
    log_harm=LEVELS,
    log_safe=LEVELS,
)
EVIDENCE = st.builds(Evidence, st.lists(GUARDS, max_size=2).map(tuple), LEVELS).filter(
    lambda evidence: evidence.guards or evidence.log_harm < math.log(20)
)
POLICIES = st.builds(
    Settings,
    step_every=st.sampled_from([1.0, 5.0]),
    max_duration=st.sampled_from([4.0, 30.0]),
    on_timeout=st.sampled_from(["hold", "rollback", "promote"]),
    guard=st.just((Guard("error_rate"), Guard("wrong_rate"))),
)
TURN = st.tuples(st.floats(0, 8), st.one_of(EVIDENCE, st.sampled_from(sorted(HANDS))))
LIFE = st.lists(TURN, max_size=14)


def turned(rollout, turn, policy, now):
    """The move that the evidence leads to, or that a person makes; None where there is none."""
    if isinstance(turn, Evidence):
        return decide(rollout, turn, policy, now=now)
    try:
        return HANDS[turn](rollout, now, f"{turn} by hand")
    except ConflictError:
        return None


def live(rollout, turns, policy):
    """Every move of a life, with the state before it."""
    moves, now = [], rollout.started
    for passed, turn in turns:
        now += passed
        move = turned(rollout, turn, policy, now)
        if move:
            moves.append((rollout, move))
            rollout = move.rollout
    return moves


@LAW
@given(turns=LIFE, policy=POLICIES)
def test_replaying_a_life_gives_the_same_moves_and_every_move_continues_the_one_before(
    rollout, turns, policy
) -> None:
    moves = live(rollout(STEPS), turns, policy)
    assert live(rollout(STEPS), turns, policy) == moves
    states = [rollout(STEPS), *(move.rollout for _, move in moves)]
    assert [before for before, _ in moves] == states[:-1]


@LAW
@given(turns=LIFE, policy=POLICIES)
def test_steps_only_go_up_one_at_a_time_and_only_a_step_or_an_end_changes_the_weight(
    rollout, turns, policy
) -> None:
    for before, (change, after) in live(rollout(STEPS), turns, policy):
        assert after.step - before.step == (change == "stepped")
        ends = {"promoted": 1.0, "rolled_back": 0.0, "stepped": STEPS[after.step]}
        assert after.weight == ends.get(change, before.weight)
        assert after.because


@LAW
@given(turns=LIFE, policy=POLICIES, end=st.sampled_from([abort, promote]))
def test_terminal_phases_absorb_and_the_weight_never_moves_again(rollout, turns, policy, end) -> None:
    ended = end(rollout(STEPS), 1001.0, "over").rollout
    assert ended.phase in TERMINAL_PHASES
    assert live(ended, turns, policy) == []


@LAW
@given(turns=LIFE, policy=POLICIES)
def test_a_move_changes_nothing_but_its_own_fields(rollout, turns, policy) -> None:
    moving = ("step", "weight", "phase", "stepped", "because")
    for before, (_, after) in live(rollout(STEPS), turns, policy):
        kept = {name: getattr(before, name) for name in moving}
        assert msgspec.structs.replace(after, **kept) == before


@pytest.mark.parametrize("phase", sorted(TERMINAL_PHASES))
@pytest.mark.parametrize("name", sorted(HANDS))
def test_an_ended_rollout_takes_no_move_by_hand(rollout, phase, name) -> None:
    with pytest.raises(ConflictError) as caught:
        HANDS[name](rollout(phase=phase), 1001.0, "by hand")
    assert str(caught.value) == f"rollout: rollout r1 is {phase.replace('_', ' ')} already"
    assert caught.value.hint == "tidegate ps"


@pytest.mark.parametrize("phase", ["running", "held"])
def test_only_a_pause_can_be_resumed(rollout, phase) -> None:
    with pytest.raises(ConflictError, match=f"r1 is {phase}, not paused"):
        resume(rollout(phase=phase), 1001.0, "by hand")


def test_a_resumed_rollout_waits_a_whole_step_again(rollout, evidence, policy) -> None:
    paused = pause(rollout(), 1009.0, "by hand").rollout
    assert decide(paused, evidence(), policy(), now=1020.0) is None
    resumed = resume(paused, 1020.0, "by hand").rollout
    assert (resumed.phase, resumed.weight, resumed.step) == ("running", 0.1, 0)
    assert decide(resumed, evidence(), policy(), now=1029.9) is None
    assert decide(resumed, evidence(), policy(), now=1030.0).change == "stepped"


@pytest.mark.parametrize("phase", ["running", "paused", "held"])
@pytest.mark.parametrize(("harm", "is_over"), [(19.9, False), (20.1, True), (1e9, True)])
def test_harm_rolls_back_from_every_phase_that_goes_on(
    rollout, evidence, policy, phase, harm, is_over
) -> None:
    move = decide(rollout(phase=phase), evidence(harm=harm), policy(), now=1001.0)
    assert (move is not None) == is_over
    if move:
        assert (move.change, move.rollout.phase, move.rollout.weight) == ("rolled_back", "rolled_back", 0.0)


def test_harm_wins_over_safe(rollout, evidence, policy) -> None:
    both = evidence(harm=21, safe=(21, 21))
    assert decide(rollout(), both, policy(), now=1001.0).change == "rolled_back"


@pytest.mark.parametrize(
    ("safe", "change"),
    [
        ((21,), "promoted"),
        ((21, 1e6), "promoted"),
        ((21, 19.9), None),
        ((19.9, 1e6), None),
        ((), None),
    ],
)
def test_safe_promotes_only_when_every_guard_is_safe(rollout, evidence, policy, safe, change) -> None:
    move = decide(rollout(), evidence(safe=safe), policy(), now=1001.0)
    assert (move and move.change) == change
    if move:
        assert (move.rollout.phase, move.rollout.weight) == ("promoted", 1.0)


@pytest.mark.parametrize(
    ("phase", "change"), [("running", "promoted"), ("held", "promoted"), ("paused", None)]
)
def test_safe_promotes_what_is_held_but_not_what_a_person_paused(
    rollout, evidence, policy, phase, change
) -> None:
    move = decide(rollout(phase=phase), evidence(safe=(21,)), policy(), now=1001.0)
    assert (move and move.change) == change


@pytest.mark.parametrize(
    ("error", "level"), [("harm_error", {"harm": 500.0}), ("safe_error", {"safe": (500.0,)})]
)
def test_each_side_needs_one_over_its_own_error(rollout, evidence, policy, error, level) -> None:
    assert decide(rollout(), evidence(**level), policy(**{error: 0.001}), now=1001.0) is None
    assert decide(rollout(), evidence(**level), policy(**{error: 0.01}), now=1001.0)


def test_the_steps_go_up_with_time_until_the_last_one(rollout, evidence, policy) -> None:
    state, seen = rollout(STEPS), []
    for second in range(1, 60):
        move = decide(state, evidence(), policy(), now=1000.0 + second)
        if move:
            state = move.rollout
            seen.append((second, move.change, state.step, state.weight))
    assert seen == [(10, "stepped", 1, 0.05), (20, "stepped", 2, 0.25)]


def test_there_is_no_step_without_traffic(rollout, evidence, policy) -> None:
    assert decide(rollout(), evidence(units=0), policy(), now=1500.0) is None
    assert decide(rollout(), Evidence((), 0.0), policy(), now=1500.0) is None


@pytest.mark.parametrize(
    ("choice", "change", "weight"),
    [("hold", "held", 0.1), ("rollback", "rolled_back", 0.0), ("promote", "promoted", 1.0)],
)
def test_at_max_duration_the_policy_chooses(rollout, evidence, policy, choice, change, weight) -> None:
    patient = policy(on_timeout=choice, step_every=5000.0)
    assert decide(rollout(), evidence(), patient, now=1999.9) is None
    move = decide(rollout(), evidence(), patient, now=2000.0)
    assert (move.change, move.rollout.phase, move.rollout.weight) == (change, change, weight)
    assert move.rollout.because.startswith("undecided after max_duration, 1000 s: error_rate needs about ")
    assert move.rollout.because.endswith(" more requests")


def test_a_held_rollout_stays_until_the_evidence_or_a_person_ends_it(rollout, evidence, policy) -> None:
    held = decide(rollout(), evidence(), policy(), now=2000.0).rollout
    assert decide(held, evidence(), policy(on_timeout="promote"), now=9000.0) is None
    for end in (abort, promote):
        assert end(held, 9000.0, "by hand").rollout.phase in TERMINAL_PHASES


def test_time_does_not_run_out_while_paused(rollout, evidence, policy) -> None:
    assert decide(rollout(phase="paused"), evidence(), policy(), now=9000.0) is None


def test_a_rollback_says_counts_evidence_need_and_time(rollout, policy) -> None:
    calm = GuardEvidence("error_rate", 1, 60, 5, 300, log_harm=-1.0)
    worse = GuardEvidence("wrong_rate", 30, 45, 8, 1260, log_harm=math.log(82))
    move = decide(rollout(), Evidence((calm, worse), math.log(41)), policy(), now=1012.5)
    assert move.rollout.because == (
        "canary is worse: wrong_rate canary 30 of 45, stable 8 of 1,260; E = 41, needed 20; "
        "12.5 s after the start"
    )


def test_a_promotion_says_counts_evidence_need_and_time_of_every_guard(rollout, policy) -> None:
    errors = GuardEvidence("error_rate", 0, 6000, 2, 6000, log_safe=math.log(400))
    wrong = GuardEvidence("wrong_rate", 300, 5800, 301, 5700, log_safe=math.log(123_456))
    move = decide(rollout(), Evidence((errors, wrong), 0.0), policy(safe_error=0.01), now=1600.0)
    assert move.rollout.because == (
        "canary is safe: error_rate canary 0 of 6,000, stable 2 of 6,000 (E = 400), "
        "wrong_rate canary 300 of 5,800, stable 301 of 5,700 (E = 1.2e+5); needed 100 each; "
        "600.0 s after the start"
    )


def test_a_step_says_how_many_units_it_rests_on(rollout, evidence, policy) -> None:
    move = decide(rollout(), evidence(units=1200), policy(), now=1010.0)
    assert move.rollout.because == "no harm seen in 120 units of the canary after 10.0 s"


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (Expected("wrong_rate", 0.05, 2100), "wrong_rate needs about 2,100 more labels"),
        (Expected("error_rate", 0.0, 7), "error_rate needs about 7 more requests"),
        (Expected("error_rate", 0.5, None), "error_rate cannot be decided at a base rate of 50.0%"),
    ],
)
def test_what_remains_is_said_in_units_of_the_guard(one: Expected, text: str) -> None:
    assert wait_text(one) == text


def test_counts_group_thousands() -> None:
    guard = GuardEvidence("error_rate", 1234, 56789, 0, 0)
    assert counts(guard) == "error_rate canary 1,234 of 56,789, stable 0 of 0"


@pytest.mark.parametrize(
    ("log_e", "text"),
    [
        (-math.inf, "0"),
        (math.log(0.318), "0.32"),
        (0.0, "1"),
        (math.log(20), "20"),
        (math.log(41_234), "41,234"),
        (math.log(1.26e6), "1.3e+6"),
        (270 * math.log(10) + math.log(1.3), "1.3e+270"),
        (5000.0, "3.0e+2171"),
    ],
)
def test_an_e_value_is_written_without_overflow(log_e, text) -> None:
    assert e_text(log_e) == text


@given(exponent=st.integers(5, 4000), digits=st.floats(1, 9.9999))
def test_the_mantissa_of_an_e_value_is_always_below_ten(exponent, digits) -> None:
    mantissa, _, _ = e_text((exponent + math.log10(digits)) * math.log(10)).partition("e+")
    assert 1 <= float(mantissa) < 10
