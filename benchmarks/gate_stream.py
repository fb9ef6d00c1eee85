"""A stream of 200 commits on digits: how often the gate and the usual rules are wrong over all of it.

    python benchmarks/gate_stream.py [--streams 20] [--models 1500]

Models are real: of four kinds, trained on parts of 600 images of scikit-learn's digits, some with wrong labels or
fewer pixels. The population is 1,000 other images, and a test set is drawn from them with replacement, so that the
true accuracy of a model is known exactly: what it gets right of the 1,000. The last 197 images are for development.

Of a stream's commits 100 are equal to the live model (right on as many images of the population, not on the same
ones), 50 are better by one image or more and 50 are worse by 2 to 5 pp. One that passes and is better goes live, so
that live climbs from 88 % upwards.

tidegate judges by `not_worse` with a margin of 2 pp through `decide`, with the records of what was decided. All is
planned before the first commit, from the planner's numbers alone: error 5 % over the stream is shared among test
sets; of the ways to share, the one with fewest labels; as many rows as let an equal candidate pass with a chance of
95 % where the budget is tightest, if it differs from live as much as those that passed on the test set before (at
first: as models do that are no worse on the development images).

The usual rules see the same rows, and beside that one test set of 360 rows, what is often held out, all along.
"""

import argparse
import math
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from tidegate.domain import Decision
from tidegate.gate.checks import Evidence
from tidegate.gate.decide import decide
from tidegate.gate.rows import Rows, digest_of, rows_digest
from tidegate.project import Gate, NotWorse
from tidegate.stats.budget import level
from tidegate.stats.exact import clopper_pearson
from tidegate.stats.power import Truth, paired_labels, paired_power

COMMITS = {"equal": 100, "worse": 50, "better": 50}
MARGIN, ERROR, POWER, WORST = 0.02, 0.05, 0.95, 0.05
TRAIN, POPULATION, START = 600, 1000, 880
SHARINGS = (1, 2, 5, 10, 20)  # at 40 a level comes below 1e-14, where the exact test's sums end
FEW = 360
CLASSES = tuple("0123456789")
TOTAL = sum(COMMITS.values())
POINTS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25)
MEANING = """
false block: an equal or better commit got `block`; underpowered: it got neither, and ships only with more rows
false pass: a commit that is worse by 2 pp or more got `pass`; streams with one: at least one of its 50
in brackets exact 95 % intervals, of commits as if they were independent"""


class Models(NamedTuple):
    """Answers [models, images] on both parts and their truths; `score` is what is right in the population."""

    population: np.ndarray
    truth: np.ndarray
    development: np.ndarray
    development_truth: np.ndarray
    score: np.ndarray


class Policy(NamedTuple):
    """What is fixed before the first commit; `rows` are those of a test set, by disagreement in points."""

    gate: Gate
    rows: dict[int, int]


class Commit(NamedTuple):
    """What a commit was, how many images of the population it gains, and what each rule said."""

    kind: str
    gain: int
    verdicts: dict[str, str]


class Told(NamedTuple):
    """What happened in a stream: its commits, the labels it took, the accuracy it came to."""

    commits: list[Commit]
    labels: int
    end: float


def train(seed: int) -> np.ndarray:
    """The answers of one model on all images that it may not learn from."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    rng = np.random.default_rng(seed)
    features, truth = images()
    rows = rng.choice(TRAIN, round(10 ** rng.uniform(2, math.log10(TRAIN))), replace=False)
    pixels = rng.random(64) < rng.uniform(0.4, 1.4)
    is_wrong = rng.random(len(rows)) < rng.choice([0, 0, 0, 0.05, 0.1])
    labels = np.where(is_wrong, rng.integers(0, 10, len(rows)), truth[rows])
    kinds = (
        lambda: KNeighborsClassifier(int(rng.integers(1, 6))),
        lambda: SVC(C=10 ** rng.uniform(0, 1.5), gamma=10 ** rng.uniform(-1.7, -0.3)),
        lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=10 ** rng.uniform(-2, -0.3)),
        lambda: RandomForestClassifier(int(rng.integers(8, 25)), random_state=seed),
    )
    model = kinds[rng.integers(len(kinds))]()
    model.fit(features[rows][:, pixels], labels)
    return model.predict(features[TRAIN:, pixels]).astype(np.uint8)


def images() -> tuple[np.ndarray, np.ndarray]:
    """Pixels and digits in an order of ours: to train on, the population, for development."""
    from sklearn.datasets import load_digits

    features, truth = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(truth))
    return features[order] / 16, truth[order].astype(np.uint8)


def gather(answers: Sequence[np.ndarray]) -> Models:
    """The models that differ from each other somewhere in the population."""
    every = np.unique(np.stack(answers), axis=0)
    truth = images()[1][TRAIN:]
    population, development = every[:, :POPULATION], every[:, POPULATION:]
    score = (population == truth[:POPULATION]).sum(axis=1)
    return Models(population, truth[:POPULATION], development, truth[POPULATION:], score)


def finest(submissions: int) -> float:
    """The smallest level on a test set of so many submissions, with its share of the error."""
    error = ERROR * submissions / TOTAL
    return min(level(passes, submissions=submissions, error=error) for passes in range(submissions))


def rows_for(points: int, submissions: int) -> int:
    """Rows of a test set on which models differ on so many rows in 100."""
    return paired_labels(points / 100, margin=MARGIN, error=finest(submissions), power=POWER)


def plan(pool: ProcessPoolExecutor) -> Policy:
    """The policy with the fewest labels if models differ on 10 % of the rows."""
    needed = list(pool.map(partial(rows_for, 10), SHARINGS))
    print(f"labels for {TOTAL} commits, if models differ on 10 % of the rows")
    print("submissions a test set   error of each   tightest level   rows of each   labels in all")
    for submissions, rows in zip(SHARINGS, needed, strict=True):
        sets, error = TOTAL // submissions, ERROR * submissions / TOTAL
        print(f"{submissions:>22}{error:>16.5f}{finest(submissions):>17.1e}{rows:>15,}{sets * rows:>16,}")
    chosen = min(zip(SHARINGS, needed, strict=True), key=lambda one: one[1] / one[0])[0]
    rule = NotWorse(margin=MARGIN)
    gate = Gate(submissions=chosen, error=ERROR * chosen / TOTAL, power=POWER, rule=(rule,))
    rows = pool.map(partial(rows_for, submissions=chosen), POINTS)
    return Policy(gate, dict(zip(POINTS, rows, strict=True)))


class Stream:
    """One project: its live model, its test set, and the commits that come."""

    def __init__(self, seed: int, models: Models, policy: Policy) -> None:
        self.rng, self.models, self.policy = np.random.default_rng(seed), models, policy
        scores, many = np.unique(models.score, return_counts=True)
        steps = scores[(scores >= START) & (many > 2)]
        later = self.rng.choice(steps[1:], COMMITS["better"], replace=False)
        self.ladder = [int(steps[0]), *sorted(later.tolist())]
        self.used: set[int] = set()
        self.history: list[Decision] = []
        self.live = -1
        self.live = self._choose(models.score == self.ladder[0])

    def run(self) -> Told:
        """All commits."""
        kinds = self.rng.permutation([kind for kind, many in COMMITS.items() for _ in range(many)])
        few, differ, labels = self._draw(FEW), self._pilot(), 0
        commits = []
        for number, kind in enumerate(kinds.tolist()):
            test_set, place = divmod(number, self.policy.gate.submissions)
            if place == 0:
                drawn, passed = self._draw(self._rows(differ)), []
                labels += len(drawn)
            candidate = self._candidate(kind)
            verdict = self._ask(candidate, drawn, f"test set {test_set}")
            verdicts = {"tidegate": verdict, **self._usual(candidate, drawn)}
            verdicts |= {f"{rule}, {FEW} rows": said for rule, said in self._usual(candidate, few).items()}
            commits.append(Commit(kind, self._score(candidate) - self._score(self.live), verdicts))
            if verdict == "pass":
                passed.append((self._right(candidate, drawn) != self._right(self.live, drawn)).mean())
                differ = float(max(passed))
                self.live = candidate if kind == "better" else self.live
        return Told(commits, labels, self._score(self.live) / POPULATION)

    def _ask(self, candidate: int, drawn: np.ndarray, name: str) -> str:
        evidence = Evidence(self._answers(candidate, drawn, name), self._answers(self.live, drawn, name))
        commit = f"commit {len(self.history)}"
        decision = decide(self.policy.gate, evidence, self.history, now=0.0, commit=commit)
        if decision not in self.history:
            self.history.append(decision)
        return decision.verdict

    def _usual(self, candidate: int, drawn: np.ndarray) -> dict[str, str]:
        """What the usual rules say."""
        new, old = (float(self._right(one, drawn).mean()) for one in (candidate, self.live))
        error = math.sqrt((new * (1 - new) + old * (1 - old)) / len(drawn))
        passes = {
            "new >= old": new >= old,
            "new >= old - 2 pp": new - old >= -MARGIN - 1e-9,
            "unpaired z at 5 %": new - old + MARGIN >= -float(ndtri(ERROR)) * error,
        }
        return {rule: "pass" if is_passed else "block" for rule, is_passed in passes.items()}

    def _answers(self, model: int, drawn: np.ndarray, name: str) -> Rows:
        truth, said = self.models.truth[drawn], self.models.population[model][drawn]
        place = np.arange(len(drawn), dtype=np.uint32)
        test_set = digest_of([name, truth])
        rows = Rows(name, "multiclass", CLASSES, 0, truth, said, None, {}, place, test_set, "")
        return rows._replace(digest=rows_digest(rows))

    def _right(self, model: int, drawn: np.ndarray) -> np.ndarray:
        return (self.models.population[model] == self.models.truth)[drawn]

    def _score(self, model: int) -> int:
        return int(self.models.score[model])

    def _candidate(self, kind: str) -> int:
        """A model that is of this kind beside the live one."""
        score, live = self.models.score, self._score(self.live)
        if kind == "equal":
            return self._choose(score == live)
        if kind == "better":
            return self._choose(score == next(step for step in self.ladder if step > live))
        below = live - score
        return self._choose((below >= MARGIN * POPULATION) & (below <= WORST * POPULATION))

    def _choose(self, fits: np.ndarray) -> int:
        """One that was not submitted before, as long as there are any; never the live one."""
        found = [one for one in np.flatnonzero(fits).tolist() if one != self.live]
        chosen = int(self.rng.choice([one for one in found if one not in self.used] or found))
        self.used.add(chosen)
        return chosen

    def _pilot(self) -> float:
        """On the development images: how much 20 models that are no worse there differ from live at most."""
        is_right = self.models.development == self.models.development_truth
        good = np.flatnonzero(is_right.sum(axis=1) >= is_right[self.live].sum())
        chosen = self.rng.choice(good, min(20, len(good)), replace=False)
        return float((is_right[chosen] != is_right[self.live]).mean(axis=1).max())

    def _rows(self, differ: float) -> int:
        """The rows planned for the next share of disagreement that is planned for."""
        return self.policy.rows[next((one for one in POINTS if one >= 100 * differ - 1e-9), POINTS[-1])]

    def _draw(self, many: int) -> np.ndarray:
        return self.rng.integers(0, POPULATION, many)


def run_stream(seed: int, models: Models, policy: Policy) -> Told:
    """One stream, in whatever process."""
    return Stream(seed, models, policy).run()


def report(told: Sequence[Told]) -> None:
    """What the streams were, then a line for each rule."""
    every = [commit for one in told for commit in one.commits]
    for kind in COMMITS:
        gains = [100 * commit.gain / POPULATION for commit in every if commit.kind == kind]
        print(
            f"{len(gains):>6,} {kind:<7}{min(gains):+.1f} to {max(gains):+.1f} pp, median {np.median(gains):+.1f}"
        )
    print(f"\n{'':<28}{'false block':>23}{'underpowered':>14}{'false pass':>25}{'streams with one':>26}")
    for rule in every[0].verdicts:
        print(line(rule, told, every))
    print(MEANING)


def line(rule: str, told: Sequence[Told], every: Sequence[Commit]) -> str:
    good = Counter(one.verdicts[rule] for one in every if one.kind != "worse")
    bad = Counter(one.verdicts[rule] for one in every if one.kind == "worse")
    hit = sum(
        any(one.kind == "worse" and one.verdicts[rule] == "pass" for one in each.commits) for each in told
    )
    return (
        f"{rule:<28}{share(good['block'], good.total()):>23}{good['underpowered'] / good.total():>14.4f}"
        f"{share(bad['pass'], bad.total()):>25}{share(hit, len(told)):>26}"
    )


def share(hits: int, n: int) -> str:
    low, high = clopper_pearson(hits, n)
    return f"{hits / n:.4f} [{low:.4f}, {high:.4f}]"


def report_labels(told: Sequence[Told], policy: Policy) -> None:
    labels = [one.labels for one in told]
    sets = TOTAL // policy.gate.submissions
    print(
        f"\nlabels a stream: {min(labels):,} to {max(labels):,}, {np.mean(labels) / TOTAL:,.0f} a commit, "
        f"in {sets} test sets; live came to {min(one.end for one in told):.1%} or more"
    )
    first = level(0, submissions=TOTAL, error=ERROR)
    power = paired_power(POPULATION, Truth(0.1, 0.0), margin=MARGIN, error=first)
    print(
        f"with the {POPULATION:,} images as the only test set for all {TOTAL}, an equal candidate that differs on "
        f"10 % of them passes\nat the first submission with a chance of {power:.2%}: <= 5 % takes fresh labels"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--models", type=int, default=1500)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        models = gather(list(pool.map(train, range(asked.models), chunksize=20)))
        policy = plan(pool)
        told = list(pool.map(partial(run_stream, models=models, policy=policy), range(asked.streams)))
    print(
        f"\n{len(models.score):,} models, {len(told)} streams of {TOTAL} commits against what was live then"
    )
    report(told)
    report_labels(told, policy)


if __name__ == "__main__":
    main()
