"""Scores of a predicted against a reference mask: numpy, SciPy, scikit-image and cc3d only.

One file per family; a new metric is a frozen dataclass under ``@metric("name")`` and, for a new file, a line here.
"""

from lesionlab.metrics import hausdorff as hausdorff
from lesionlab.metrics import lesion as lesion
from lesionlab.metrics import lesion_match as lesion_match
from lesionlab.metrics import lesion_wise as lesion_wise
from lesionlab.metrics import mean_distance as mean_distance
from lesionlab.metrics import overlap as overlap
from lesionlab.metrics import surface_dice as surface_dice
from lesionlab.metrics import surfel as surfel
from lesionlab.metrics import volume as volume
