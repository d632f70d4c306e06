"""What official evaluation code gave for shared masks, and how a protocol is held against it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlab.core.metric import Spacing
from lesionlab.core.protocol import LabelMap, Protocol


@dataclass(frozen=True, kw_only=True)
class Official:
    """One case with the values of one implementation."""

    case: str
    kind: str
    predicted: LabelMap
    reference: LabelMap
    spacing_mm: Spacing
    values: dict[str, Any]


def official_cases(oracles: Path, implementation: str) -> Iterator[Official]:
    kinds = {case["id"]: case["kind"] for case in json.loads((oracles / "index.json").read_text())["cases"]}
    for case, values in json.loads((oracles / "expected" / f"{implementation}.json").read_text()).items():
        masks = np.load(oracles / f"{case}.npz")
        x, y, z = (*masks["spacing"].tolist(), 1.0)[:3]
        predicted, reference = (np.atleast_3d(masks[name]) for name in ("pred", "gt"))
        yield Official(
            case=case,
            kind=kinds[case],
            predicted=predicted,
            reference=reference,
            spacing_mm=(x, y, z),
            values=values,
        )


def scored(rules: Protocol, official: Official) -> dict[tuple[str, str], float]:
    scores = rules.score(official.predicted, official.reference, spacing_mm=official.spacing_mm)
    return {(score.region, score.metric): score.value for score in scores}


def near(official: Any, *, tolerance: float = 1e-6) -> Any:
    return pytest.approx(float(official), abs=tolerance, rel=1e-6, nan_ok=True)
