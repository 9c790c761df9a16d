"""Volumes from files, with their position in space."""

import logging
import warnings
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from monai.config import KeysCollection
from monai.transforms import LoadImaged

from ..errors import UnusableFileError
from .volumes import VolumeReader


class LoadVolumed(LoadImaged):
    """MONAI's `LoadImaged` with :class:`common.adc.VolumeReader`: (C, X, Y, Z) float32 and the affine in RAS.

    Args:
        keys: entries with a path, or with a list of paths that become channels; replaced by the volume.
        allow_missing_keys: whether an entry may be missing.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        with _without_notes_on_other_readers():
            super().__init__(
                keys,
                reader=VolumeReader,
                image_only=True,
                ensure_channel_first=True,
                allow_missing_keys=allow_missing_keys,
            )

    def __call__(self, data: Any, reader: Any = None) -> dict[Hashable, Any]:
        """Read the entries under the keys.

        Raises:
            UnusableFileError: if the listing says in "refused" why the case cannot serve, or a file cannot be read.
        """
        if "refused" in data:
            raise UnusableFileError(data["refused"])
        return super().__call__(data, reader)


@contextmanager
def _without_notes_on_other_readers() -> Iterator[None]:
    """Silence MONAI on the readers that it registers besides and that are never asked."""
    logger = logging.getLogger("monai.data.nvimgcodec_pydicom_plugin")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
            yield
    finally:
        logger.setLevel(level)
