"""Scores of a predicted against a reference mask: numpy, SciPy and cc3d only.

One file per family; a new metric is a frozen dataclass under ``@metric("name")`` and, for a new file, a line here.
"""

from lesionlab.metrics import lesion as lesion
from lesionlab.metrics import overlap as overlap
from lesionlab.metrics import surface as surface
from lesionlab.metrics import volume as volume
