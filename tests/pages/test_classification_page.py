"""The page of a classification: what it shows, in which order, and that nothing in a name can act."""

import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from lesionlab.metrics.class_measures import Measure
from lesionlab.metrics.classes import calibration_bins
from lesionlab.metrics.roc import Area, characteristic
from lesionlab.pages.classification_page import ClassifiedCase, render_classification
from lesionlab.pages.roc_plot import draw_calibration, draw_roc

SCORES, HAS_CLASS = np.array([0.9, 0.4, 0.6, 0.2]), np.array([True, True, False, False])


def case(name: str, probability: float, *, predicted: str = "ill") -> ClassifiedCase:
    return ClassifiedCase(case=name, site="", reference="ill", predicted=predicted, own_probability=probability)


def page(*, title: str = "Heads", value: float = 0.75, counted: str = "patients") -> str:
    area = Measure(
        name="auc", of="ill", value=value, low=0.5, high=1.0, method="DeLong", n=4, is_higher_better=True
    )  # fmt: skip
    return render_classification(
        [area],
        confusion=np.array([[1.0, 1.0], [1.0, 1.0]]),
        classes=("well", "ill"),
        cases=[case("<b>good</b>", 0.9), case("bad", 0.1, predicted="well")],
        pictures={"curve": b"\x89PNG"},
        provenance={"lesionlab": "0.1.0"},
        title=title,
        counted=counted,
        notice="not for patients",
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_worst_case_comes_first():
    text = page()
    assert text.index(">bad<") < text.index("good")
    for shown in ("area under the curve", "0.750", "0.500 to 1.000", "not for patients", "DeLong"):
        assert shown in text


def test_an_undefined_value_is_a_dash():
    assert "nan" not in page(value=float("nan"))


def test_nothing_comes_from_elsewhere_and_names_are_text():
    text = page(title="<script>alert(1)</script>")
    tags = _Tags()
    tags.feed(text)
    names = [tag for tag, _ in tags.found]
    assert names.count("script") == 1
    assert set(names).isdisjoint({"b", "link"})
    assert all((given.get("src") or "data:").startswith("data:") for _, given in tags.found)
    assert any("default-src 'none'" in (given.get("content") or "") for _, given in tags.found)
    assert "unsafe" not in text


def test_what_is_resampled_is_told():
    assert "2,000 resamples of the patients" in page()
    assert "2,000 resamples of the pictures" in page(counted="pictures")


def test_what_made_it_is_told():
    assert "<dt>lesionlab</dt><dd>0.1.0</dd>" in page()


def size_of(png: bytes) -> tuple[int, int]:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 20
    return image.size


@pytest.mark.parametrize("classes", [1, 3])
def test_a_curve_per_class_is_drawn(classes: int):
    names = [f"class {number}" for number in range(classes)]
    area = Area(value=0.75, standard_error=0.2, low=0.4, high=1.0)
    drawn = draw_roc(
        dict.fromkeys(names, characteristic(SCORES, HAS_CLASS)),
        dict.fromkeys(names, area),
        operating=dict.fromkeys(names, (0.5, 0.5)),
    )
    assert min(size_of(drawn)) > 400


def test_calibration_is_drawn_with_empty_bins():
    assert min(size_of(draw_calibration(calibration_bins(SCORES, HAS_CLASS), forecast="probability of ill"))) > 400
