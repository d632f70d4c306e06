"""One file per dataset layout; importing this package registers them all."""

from lesionlab.layouts.atlas_r1 import AtlasR1 as AtlasR1
from lesionlab.layouts.atlas_r2 import AtlasR2 as AtlasR2
from lesionlab.layouts.bids import Bids as Bids
from lesionlab.layouts.brain_mets import BrainMets as BrainMets
from lesionlab.layouts.brats import Brats as Brats
from lesionlab.layouts.datalist import Datalist as Datalist
from lesionlab.layouts.dicom import Dicom as Dicom
from lesionlab.layouts.image_mask import ImageMask as ImageMask
from lesionlab.layouts.isles2022 import Isles2022 as Isles2022
from lesionlab.layouts.msd import Msd as Msd
from lesionlab.layouts.nnunet_raw import NnunetRaw as NnunetRaw
from lesionlab.layouts.synapse_ct import SynapseCt as SynapseCt
from lesionlab.layouts.table import Table as Table
from lesionlab.layouts.wmh2017 import Wmh2017 as Wmh2017
from lesionlab.layouts.wmh_split import WmhSplit as WmhSplit
