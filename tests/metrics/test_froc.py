import math

import numpy as np
import pytest

from lesionlab.metrics.froc import trace_froc


def test_two_scans_with_three_lesions() -> None:
    reference, said = np.zeros((2, 20, 3, 3), dtype=bool), np.zeros((2, 20, 3, 3))
    reference[0, 2, 1, 1] = reference[0, 8, 1, 1] = reference[1, 2, 1, 1] = True
    said[0, 2, 1, 1], said[0, 8, 1, 1], said[0, 15, 1, 1], said[1, 10, 1, 1] = 0.9, 0.4, 0.6, 0.3
    curve = trace_froc(zip(said, reference, strict=True), thresholds=[0.2, 0.35, 0.5, 0.8])
    assert (curve.scans, curve.lesions) == (2, 3)
    assert curve.sensitivity == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3])
    assert curve.false_positives_per_scan == (1.0, 0.5, 0.5, 0.0)
    assert curve.score([0.25, 1.0]) == pytest.approx((1 / 3 + 2 / 3) / 2)


def test_no_lesion_at_all_has_no_sensitivity() -> None:
    curve = trace_froc([(np.zeros((3, 3, 3)), np.zeros((3, 3, 3), dtype=bool))], thresholds=[0.5])
    assert math.isnan(curve.sensitivity[0])
    assert curve.false_positives_per_scan == (0.0,)
