"""The page that people read after a classification was evaluated: one HTML file that needs no network."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lesionlab.metrics.class_measures import Measure

FOLDER = Path(__file__).parent

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
    title: str,
    notice: str = "",
) -> str:
    """Return the page; cases are shown in the order of what their own class was given, the worst first.

    Args:
        measures: With their intervals.
        confusion: Cases of each class (rows) that were taken for which (columns).
        classes: Their names; of two, the second is the one to be found.
        cases: All of them.
        pictures: PNGs by caption.
        title: The page's heading.
        notice: A sentence that nobody may overlook, shown above everything; empty for none.
    """
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"number": _number}
    return environment.get_template("classification_page.html").render(
        title=title,
        notice=notice,
        measures=measures,
        titles=TITLES,
        confusion=confusion.astype(int).tolist(),
        classes=classes,
        cases=sorted(cases, key=lambda case: (case.own_probability, case.case)),
        mistakes=sum(not case.is_right for case in cases),
        pictures={caption: base64.b64encode(png).decode("ascii") for caption, png in pictures.items()},
        style=(FOLDER / "report_page.css").read_text(encoding="utf-8"),
    )


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"
