"""One HTML file that needs no network: its style, script and pictures are inside, and nothing else may run."""

import base64
import hashlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lesionlab.core.interval import LEVEL, RESAMPLES, SEED, Interval

FOLDER = Path(__file__).parent
DECIMALS = {"1": 3, "lesions": 1, "mm": 2, "voxel": 2, "px": 1, "ml": 2, "%": 1}
ARROWS = {True: "↑", False: "↓", None: ""}
UNIT_WORDS = {"1": "fraction", "voxel": "voxels", "px": "pixels", "mm3": "mm³"}


def render_page(template: str, facts: Mapping[str, object]) -> str:
    """Return the page; every fact is escaped where it is shown.

    Args:
        template: File of this folder. It is given ``facts``, and ``style``, ``script``, ``policy`` and ``interval``.
        facts: Name -> what the template shows under this name.
    """
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {
        "number": number,
        "signed": signed,
        "p_value": p_value,
        "ends": ends,
        "signed_ends": partial(ends, as_number=signed),
        "unit": unit_words,
        "arrow": ARROWS.__getitem__,
        "percent": "{:.0%}".format,
    }
    style, script = _read("report_page.css"), _read("report_page.js")
    return environment.get_template(template).render(
        **facts,
        style=style,
        script=script,
        policy=f"default-src 'none'; img-src data:; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'; "
        "base-uri 'none'; form-action 'none'",
        interval={"level": LEVEL, "resamples": RESAMPLES, "seed": SEED},
    )


def address(picture: bytes) -> str:
    """Return an address that holds a PNG or SVG picture whole."""
    kind = "image/png" if picture.startswith(b"\x89PNG") else "image/svg+xml"
    return f"data:{kind};base64," + base64.b64encode(picture).decode("ascii")


def number(value: float, unit: str) -> str:
    """Return a number with the decimals of its unit; a dash for NaN, the sign of infinity for what is infinite."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return "–" if math.isnan(value) else f"{value:.{DECIMALS.get(unit, 3)}f}"


def signed(value: float, unit: str) -> str:
    """Return a difference with its sign and the decimals of its unit; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:+.{DECIMALS.get(unit, 3)}f}".replace("-", "−")


def ends(interval: Interval, unit: str, *, as_number: Callable[[float, str], str] = number) -> str:
    """Return both ends of an interval with the decimals of the unit; a dash where there is none."""
    if math.isnan(interval.low) or math.isnan(interval.high):
        return "–"
    return f"{as_number(interval.low, unit)} to {as_number(interval.high, unit)}"


def p_value(value: float) -> str:
    """Return a p-value with three decimals, smaller ones as such; a dash for NaN."""
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def unit_words(unit: str) -> str:
    """Return what a reader calls a unit."""
    return UNIT_WORDS.get(unit, unit)


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
