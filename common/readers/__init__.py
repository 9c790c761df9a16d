"""Files to tensors and datalists: one module a modality, one function a public dataset layout."""

from common.readers.camus import camus_datalist as camus_datalist
from common.readers.echo import echo_datalist as echo_datalist
from common.readers.echo import ultrasound_cine_datalist as ultrasound_cine_datalist
from common.readers.echonet import echonet_datalist as echonet_datalist
from common.readers.hmc_qu import hmc_qu_datalist as hmc_qu_datalist
from common.readers.sector import crop_to_sector as crop_to_sector
from common.readers.sector import mask_to_region as mask_to_region
from common.readers.sector import sector_mask as sector_mask
from common.readers.ultrasound_cine import open_ultrasound_cine as open_ultrasound_cine
from common.readers.ultrasound_dicom import UltrasoundImage as UltrasoundImage
from common.readers.ultrasound_dicom import UltrasoundRegion as UltrasoundRegion
from common.readers.ultrasound_dicom import read_ultrasound as read_ultrasound
from common.readers.video import FrameSource as FrameSource
from common.readers.video import open_video as open_video
