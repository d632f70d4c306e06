"""How each challenge or paper scores a case, exactly: one file each, registered in `lesionlab.core.protocol`."""

from lesionlab.protocols import atlas2 as atlas2
from lesionlab.protocols import atlas_notebook_paper as atlas_notebook_paper
from lesionlab.protocols import brats2020 as brats2020
from lesionlab.protocols import brats2023 as brats2023
from lesionlab.protocols import brats2024 as brats2024
from lesionlab.protocols import brats2025 as brats2025
from lesionlab.protocols import isic2018 as isic2018
from lesionlab.protocols import isles2022 as isles2022
from lesionlab.protocols import lesionlab as lesionlab
from lesionlab.protocols import polyp as polyp
from lesionlab.protocols import sg_net_paper as sg_net_paper
from lesionlab.protocols import synapse_net_paper as synapse_net_paper
from lesionlab.protocols import synapse_paper as synapse_paper
from lesionlab.protocols import wmh2017 as wmh2017
