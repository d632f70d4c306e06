"""All measures together: which there are, what they are about, and how sure they are."""

import math

import numpy as np
import pytest

from lesionlab.metrics.class_measures import Judged, Measure, mean_area, measure, resampled_weights


def judged(*, classes: int = 2, cases: int = 80, visits: int = 1) -> Judged:
    generator = np.random.default_rng(3)
    reference = np.repeat(generator.integers(0, classes, cases // visits), visits)
    scores = generator.normal(size=(len(reference), classes)) + 1.5 * np.eye(classes)[reference]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return Judged(
        probabilities=probabilities,
        predicted=probabilities.argmax(axis=1),
        reference=reference,
        groups=tuple(f"p{number // visits}" for number in range(len(reference))),
        classes=("healthy", "stroke", "tumour")[:classes],
    )


def by_name(measures: tuple[Measure, ...]) -> dict[tuple[str, str], Measure]:
    return {(one.name, one.of): one for one in measures}


def test_two_classes_are_told_by_the_second():
    found = by_name(measure(judged()))
    assert {name for name, of in found if of} == {"auc", "sensitivity", "specificity", "f1"}
    assert {of for _, of in found} == {"", "stroke"}
    assert {name for name, of in found if not of} == {
        "accuracy", "balanced_accuracy", "calibration_error", "brier", "log_loss"}  # fmt: skip


def test_of_three_classes_each_is_told():
    found = by_name(measure(judged(classes=3)))
    assert {of for name, of in found if name == "auc"} == {"", "healthy", "stroke", "tumour"}
    areas = [found["auc", name].value for name in ("healthy", "stroke", "tumour")]
    assert found["auc", ""].value == pytest.approx(np.mean(areas))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("visits", [1, 4])
def test_every_value_lies_in_its_interval(classes: int, visits: int):
    for one in measure(judged(classes=classes, visits=visits)):
        assert one.low <= one.value <= one.high, one
        assert one.low < one.high


def test_visits_make_intervals_wider():
    alone, together = judged(visits=4), judged(visits=4)
    apart = Judged(
        probabilities=alone.probabilities,
        predicted=alone.predicted,
        reference=alone.reference,
        groups=tuple(f"{number}" for number in range(len(alone.reference))),
        classes=alone.classes,
    )
    wilson = by_name(measure(apart))["sensitivity", "stroke"]
    patients = by_name(measure(together))["sensitivity", "stroke"]
    assert (wilson.method, patients.method) == ("Wilson", "bootstrap")
    assert wilson.value == patients.value


def test_wilson_of_ten_in_ten():
    """Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E: z = 1.96."""
    certain = Judged(
        probabilities=np.repeat([[0.9, 0.1], [0.1, 0.9]], 10, axis=0),
        predicted=np.repeat([0, 1], 10),
        reference=np.repeat([0, 1], 10),
        groups=tuple(map(str, range(20))),
        classes=("no", "yes"),
    )
    found = by_name(measure(certain))
    assert found["sensitivity", "yes"].low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-4)
    assert (found["auc", "yes"].value, found["auc", "yes"].low) == (1, 1)
    assert found["brier", ""].value == pytest.approx(0.01)


def test_resamples_keep_the_patients_of_each_class_together():
    given = judged(visits=4)
    weights = resampled_weights(given)
    for patient in set(given.groups):
        own = [place for place, group in enumerate(given.groups) if group == patient]
        assert (weights[:, own] == weights[:, own[:1]]).all()
    for number in (0, 1):
        assert (weights[:, given.reference == number].sum(axis=1) == (given.reference == number).sum()).all()


def test_an_area_of_one_class_is_undefined():
    assert math.isnan(mean_area(np.array([[0.2, 0.8], [0.4, 0.6]]), np.array([1, 1])))
