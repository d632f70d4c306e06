"""Judge the images and masks of a dataset before time is spent on them: one file per subject."""

from lesionlab.workflows.check.finding import Finding as Finding
from lesionlab.workflows.check.finding import Severity as Severity
from lesionlab.workflows.check.judging import check as check
from lesionlab.workflows.check.judging import judge as judge
