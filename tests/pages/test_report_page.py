import base64
import hashlib
import importlib
import math
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser

import numpy as np
import pytest

from lesionlab.core.lesion_table import LesionRow, Side
from lesionlab.core.protocol import Protocol, protocol
from lesionlab.core.report import Report, Row, Rules, in_pixels
from lesionlab.pages.report_page import Picture, render_report


def rules_named(name: str) -> Protocol:
    importlib.import_module("lesionlab.protocols")
    return protocol.build(name)


OFFICIAL = Rules(name="wmh2017", title="WMH 2017", citation="doi:10", is_legacy=False)
LEGACY = Rules(name="paper", title="The paper's scripts", citation="a script", is_legacy=True)
EVIL = "<script>alert('x')</script>"


def row(case: str, value: float, *, protocol: str = "wmh2017", reason: str = "") -> Row:
    return Row(
        case=case,
        group=case,
        site="",
        protocol=protocol,
        region="wmh",
        metric="dsc",
        value=value,
        unit="1",
        is_higher_better=True,
        reason=reason,
    )


def report_of(*rows: Row) -> Report:
    return Report(rows=rows, rules=(OFFICIAL, LEGACY), provenance={"lesionlab": "0.1.0"})


class Outline(HTMLParser):
    """Tags in order, text by tag, and whatever would need a network."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: dict[str, list[str]] = {}
        self.sources: list[str] = []
        self.attributes: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [name for name, _ in attrs]
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.setdefault(self.open[-1] if self.open else "", []).append(data)


@pytest.fixture
def page() -> str:
    rows = [row("a1", 0.5), row("a2", 0.75), row(EVIL, math.nan, reason="both masks are empty")]
    rows += [row(case, 0.9, protocol="paper") for case in ("a1", "a2", EVIL)]
    picture = Picture(label="Best case", case=EVIL, caption="dsc 0.9 <b>", png=b"\x89PNG")
    return render_report(report_of(*rows), title="Report & more", notice="Synthetic patients <i>", pictures=[picture])


def test_is_well_formed_and_needs_no_network(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    *charts, picture = outline.sources
    assert picture == "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    assert charts
    assert all(source.startswith("data:image/svg+xml;base64,") for source in charts)
    assert not re.search(r"https?://", page)


def test_case_ids_captions_and_notices_are_escaped(page: str) -> None:
    assert page.count("<script>") == 1
    assert EVIL not in page
    assert "&lt;script&gt;alert" in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_policy_allows_exactly_the_script_and_style_that_are_there(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'")
    assert "unsafe" not in allowed
    for tag in ("script", "style"):
        content = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert len(content) == 1
        digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in allowed
    assert not {name for name in Outline(page).attributes if name.startswith("on") or name == "style"}


def test_what_is_undefined_comes_first_with_its_reason(page: str) -> None:
    assert 0 < page.index("both masks are empty") < page.index("<h2>Summary</h2>")
    assert "2 / 3" in page


def test_legacy_rules_are_labelled(page: str) -> None:
    outline = Outline(page)
    assert outline.text["span"].count("legacy") == 2
    assert page.count('class="legacy"') == 1


def test_notice_is_above_everything_and_absent_when_empty(page: str) -> None:
    assert page.index("Synthetic patients") < page.index("<h2>")
    assert 'class="notice"' not in render_report(report_of(row("a", 0.5)), title="t")


def test_no_remark_says_so() -> None:
    assert "No score is undefined" in render_report(report_of(row("a", 0.5)), title="t")


def test_beside_each_legacy_figure_is_the_official_one(page: str) -> None:
    (table,) = re.findall(r"<h2>Legacy beside official</h2>.*?</table>", page, re.DOTALL)
    assert "0.900 fraction" in table
    assert "wmh2017 dsc" in table
    assert "0.625 fraction" in table
    assert "+0.275" in table
    assert "Legacy beside official" not in render_report(
        Report(rows=(row("a", 0.5),), rules=(OFFICIAL,), provenance={}), title="t"
    )


def lesion(case: str, volume_mm3: float, *, side: Side = "reference") -> LesionRow:
    return LesionRow(
        case=case,
        group=case,
        site="",
        region="wmh",
        side=side,
        number=1,
        volume_mm3=volume_mm3,
        is_touched=volume_mm3 > 100,
        dice=0.0,
    )


def test_two_cases_are_not_drawn_as_boxes() -> None:
    assert "every case." not in render_report(report_of(row("a", 0.5), row("b", 0.6)), title="t")
    assert "every case." in render_report(report_of(row("a", 0.5), row("b", 0.6), row("c", 0.7)), title="t")


@pytest.mark.parametrize("protocol", ["lesionlab", "polyp", "isic2018", "isles2022"])
def test_pictures_have_neither_millimetres_nor_sides_nor_patients(protocol: str) -> None:
    masks = [np.zeros((8, 8, 1), np.uint8) for _ in range(2)]
    masks[0][2:5, 2:5] = masks[1][3:6, 3:6] = 1
    scores = rules_named(protocol).score(*masks, spacing_mm=(1.0, 1.0, 1.0))
    rows = [
        in_pixels(Row(case=case, group=case, site="", protocol=protocol, **scored))
        for case in "abc"
        for scored in map(asdict, scores)
    ]
    rules = (Rules(name=protocol, title="t", citation="", is_legacy=False),)
    report = Report(rows=tuple(rows), rules=rules, provenance={}, kind="picture")
    page = render_report(report, title="t", lesions=[lesion("a", 5.0), lesion("b", 50.0)])
    assert not re.search(r"[ _0-9(]mm\b|[ _(]ml\b|mm³|axial|slice|radiological|Bland|atients", page)


def test_a_pictures_length_and_area_are_in_pixels() -> None:
    ml = replace(row("a", 0.28), metric="reference_volume_ml", unit="ml")
    assert (in_pixels(ml).metric, in_pixels(ml).value, in_pixels(ml).unit) == ("reference_area_px", 280, "px")
    mm = replace(row("a", 3.5), metric="hd95_mm", unit="mm")
    assert (in_pixels(mm).metric, in_pixels(mm).value, in_pixels(mm).unit) == ("hd95_px", 3.5, "px")
    assert in_pixels(row("a", 0.5)) == row("a", 0.5)


def test_lesions_add_charts_of_volume_and_size() -> None:
    report = report_of(row("a", 0.5), row("b", 0.6))
    lesions = [lesion("a", 5.0), lesion("a", 700.0), lesion("b", 20.0, side="predicted")]
    page = render_report(report, title="t", lesions=lesions)
    assert "Volume of wmh (Bland and Altman)" in page
    assert "What size of wmh is found" in page
    only_predicted = render_report(report, title="t", lesions=lesions[2:])
    assert "What size of wmh" not in only_predicted
