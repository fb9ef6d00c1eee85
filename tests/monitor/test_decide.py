import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain import Alert
from tidegate.monitor.decide import Cleared, Evidence, clear_on_release, decide
from tidegate.monitor.drift import Feature
from tidegate.project import Monitor

SETTINGS = Monitor()
WINDOWS = math.log(SETTINGS.false_alarm_windows)
LABELS = math.log(SETTINGS.false_alarm_labels)
CALM = Evidence(
    drift_level=-2.0,
    features=(Feature("p12", -1.0, "51 % of rows at most 3, reference 50 %", False, 9),),
    windows=9,
    rows=9000,
    performance_level=-3.0,
    labels=400,
    errors=41,
    limit=0.13,
    recent=(30, 4),
    log_dropped=0,
)
P12 = Feature("p12", 30.0, "74 % of rows at most 3, reference 50 %", True, 3)
AGE = Feature("age", 25.0, "4 % of rows missing, reference 0 %", True, 5)
DRIFTED = CALM._replace(drift_level=10 * math.log(10), features=(P12, AGE, *CALM.features))
WORSE = CALM._replace(performance_level=6.25 * math.log(10), recent=(400, 100))
DROPPED = CALM._replace(log_dropped=7)

LEVELS = st.one_of(st.just(-math.inf), st.floats(-20, 200))
EVIDENCE = st.builds(
    CALM._replace,
    drift_level=LEVELS,
    performance_level=LEVELS,
    log_dropped=st.integers(0, 3),
    features=st.sampled_from([CALM.features, DRIFTED.features]),
)


def changes(alerts, evidence, settings=SETTINGS):
    return decide(alerts, evidence, settings, subject="digits", now=50.0)


def apply(alerts, changed):
    """The alerts that are active after the changes."""
    cleared = {change for change in changed if isinstance(change, Cleared)}
    kept = tuple(alert for alert in alerts if Cleared(alert.kind, alert.subject) not in cleared)
    return (*kept, *(change for change in changed if isinstance(change, Alert)))


def test_a_calm_model_raises_and_clears_nothing():
    assert changes((), CALM) == ()


def test_drift_is_a_ticket_that_names_the_worst_columns_and_the_evidence():
    assert changes((), DRIFTED) == (
        Alert(
            kind="drift",
            subject="digits",
            severity="ticket",
            because="live rows differ from the reference since window 3 of 9: "
            "p12 (74 % of rows at most 3, reference 50 %), age (4 % of rows missing, reference 0 %); "
            "e-value 10^10.0, alarm at 10^3.0",
            since=50.0,
        ),
    )


def test_at_most_five_columns_are_named_and_the_others_counted():
    many = tuple(P12._replace(name=f"p{index}") for index in range(8))
    (alert,) = changes((), DRIFTED._replace(features=many))
    assert alert.because.count("% of rows at most") == 5
    assert " and 3 more;" in alert.because


def test_when_no_feature_alarms_alone_the_worst_is_named():
    (alert,) = changes((), CALM._replace(drift_level=WINDOWS))
    assert ": p12 (51 % of rows at most 3, reference 50 %);" in alert.because


def test_lost_quality_is_a_page_with_its_numbers():
    (alert,) = changes((), WORSE)
    assert (alert.kind, alert.severity, alert.subject, alert.since) == ("performance", "page", "digits", 50.0)
    assert alert.because == (
        "100 of the last 400 labeled answers are wrong (25 %), promised were at most 13 %; "
        "e-value 10^6.2, alarm at 10^5.0"
    )


def test_dropped_rows_are_a_ticket_until_none_are_dropped():
    (alert,) = raised = changes((), DROPPED)
    assert (alert.kind, alert.severity) == ("log", "ticket")
    assert alert.because == "7 answered rows are missing from the prediction log"
    assert changes(raised, DROPPED._replace(log_dropped=900)) == ()
    assert changes(raised, CALM) == (Cleared("log", "digits"),)


@pytest.mark.parametrize(
    ("field", "level", "kind"),
    [("drift_level", WINDOWS, "drift"), ("performance_level", LABELS, "performance")],
)
def test_an_alarm_is_due_at_its_level_and_not_before(field, level, kind):
    (alert,) = changes((), CALM._replace(**{field: level}))
    assert alert.kind == kind
    assert changes((), CALM._replace(**{field: math.nextafter(level, 0)})) == ()


def test_the_settings_say_when_an_alarm_is_due():
    patient = Monitor(false_alarm_windows=10**12, false_alarm_labels=10**12)
    assert changes((), DRIFTED, patient) == changes((), WORSE, patient) == ()


@pytest.mark.parametrize("evidence", [DRIFTED, WORSE])
def test_an_active_alert_is_neither_raised_again_nor_cleared_by_calm(evidence):
    active = changes((), evidence)
    assert changes(active, evidence._replace(features=(AGE,))) == ()
    assert changes(active, CALM) == ()


@pytest.mark.parametrize("evidence", [DRIFTED, WORSE, DROPPED])
def test_alerts_of_another_subject_do_not_matter(evidence):
    elsewhere = decide((), evidence, SETTINGS, subject="letters", now=1.0)
    assert changes(elsewhere, evidence) == changes((), evidence)
    assert changes(elsewhere, CALM) == ()


def test_all_kinds_are_raised_together():
    worst = DRIFTED._replace(performance_level=20.0, log_dropped=1)
    assert [alert.kind for alert in changes((), worst)] == ["drift", "performance", "log"]


def test_a_release_clears_drift_and_quality_of_its_subject_only():
    worst = DRIFTED._replace(performance_level=20.0, log_dropped=1)
    alerts = (*changes((), worst), *decide((), worst, SETTINGS, subject="letters", now=1.0))
    cleared = clear_on_release(alerts, "digits")
    assert cleared == (Cleared("drift", "digits"), Cleared("performance", "digits"))
    assert clear_on_release(apply(alerts, cleared), "digits") == ()


@given(st.lists(EVIDENCE, max_size=5), EVIDENCE)
def test_once_its_changes_are_applied_there_is_nothing_more_to_change(past, evidence):
    alerts = ()
    for earlier in past:
        alerts = apply(alerts, changes(alerts, earlier))
    first = changes(alerts, evidence)
    assert changes(alerts, evidence) == first
    assert changes(apply(alerts, first), evidence) == ()


def test_deciding_needs_no_numpy():
    probe = "import sys, tidegate.monitor.decide; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
