"""One file per dataset layout; importing this package registers them all."""

from lesionlab.layouts.wmh2017 import Wmh2017 as Wmh2017
from lesionlab.layouts.wmh_split import WmhSplit as WmhSplit
