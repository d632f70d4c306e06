"""Numbers that a network gives must be numbers."""

import math

import numpy as np
from jaxtyping import Float

from lesionlab.core.errors import PredictionError


def check_finite(values: Float[np.ndarray, "..."], *, what: str, where: str) -> None:
    """Refuse what holds NaN or infinities: compared with a threshold, they would become an empty mask.

    Args:
        values: Any shape; empty ones are finite.
        what: The values in words, such as "probabilities".
        where: The case, named in the message.

    Raises:
        PredictionError: A value is not finite.
    """
    if math.isfinite(float(values.sum(dtype=np.float64))):  # no copy, unlike np.isfinite(values)
        return
    count = int(values.size - np.count_nonzero(np.isfinite(values)))
    raise PredictionError(
        f"finite {what}",
        found=f"{count} of {values.size} that are NaN or infinite",
        where=where,
        next_step="check the checkpoint's weights, and predict in float32 if it was trained in float16",
    )
