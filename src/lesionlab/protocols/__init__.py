"""How each challenge or paper scores a case, exactly: one file each, registered in `lesionlab.core.protocol`."""

from lesionlab.protocols import regions as regions
from lesionlab.protocols import synapse_net_paper as synapse_net_paper
from lesionlab.protocols import wmh2017 as wmh2017
