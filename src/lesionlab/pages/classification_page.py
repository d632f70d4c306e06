"""The page that people read after a classification was evaluated: one HTML file that needs no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lesionlab.metrics.class_measures import RESAMPLES, Measure
from lesionlab.pages.offline_page import address, render_page

TITLES = {
    "auc": "area under the curve",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "calibration_error": "expected calibration error",
    "brier": "Brier score",
    "log_loss": "log loss",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedCase:
    """What was said of one case.

    Attributes:
        case: Its id.
        site: Where it was acquired, or an empty string.
        reference: Its class.
        predicted: What it was taken for.
        own_probability: What its own class was given.
    """

    case: str
    site: str
    reference: str
    predicted: str
    own_probability: float

    @property
    def is_right(self) -> bool:
        """Whether it was taken for what it is."""
        return self.reference == self.predicted


def render_classification(
    measures: Sequence[Measure],
    *,
    confusion: Float[np.ndarray, "class class"],
    classes: Sequence[str],
    cases: Sequence[ClassifiedCase],
    pictures: Mapping[str, bytes],
    provenance: Mapping[str, str],
    title: str,
    counted: str = "patients",
    notice: str = "",
) -> str:
    """Return the page; cases are shown in the order of what their own class was given, the worst first.

    Args:
        measures: With their intervals.
        confusion: Cases of each class (rows) that were taken for which (columns).
        classes: Their names; of two, the second is the one to be found.
        cases: All of them.
        pictures: PNGs by caption.
        provenance: Software and versions.
        title: The page's heading.
        counted: What was resampled for intervals: "patients", or "pictures" where nobody says whose they are.
        notice: A sentence that nobody may overlook, shown above everything; empty for none.
    """
    facts = {
        "title": title,
        "notice": notice,
        "counted": counted,
        "resamples": RESAMPLES,
        "measures": measures,
        "titles": TITLES,
        "confusion": confusion.astype(int).tolist(),
        "classes": classes,
        "cases": sorted(cases, key=lambda case: (case.own_probability, case.case)),
        "mistakes": sum(not case.is_right for case in cases),
        "pictures": {caption: address(png) for caption, png in pictures.items()},
        "provenance": provenance,
    }
    return render_page("classification_page.html", facts)
