"""Cine sections of any number of frames brought to one."""

from collections.abc import Hashable, Mapping

import numpy as np
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type


class ResampleTime(Transform):
    """Resamples the last axis, one heart beat, to `frames` frames: the beat is a circle, its end lies before its start.

    Linear interpolation on the circle. Fourier interpolation would keep more of the sharpest motion, but it rings over
    the whole beat where a prospectively gated cine misses the last part of diastole, and leaves the range of the grey
    values. A section that has `frames` frames already comes back as it is.

    Args:
        frames: frames of the result; frame k of n stands for the phase k / n of the beat.

    Raises:
        ValueError: for fewer than 2 `frames`, or (when called) a section of fewer than 2.
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012 MONAI declares it so

    def __init__(self, frames: int = 40) -> None:
        if frames < 2:
            raise ValueError(f"frames: expected at least 2, found {frames}")
        self.frames = frames

    def __call__(self, img: NdarrayOrTensor) -> NdarrayOrTensor:
        """Return `img` (..., T) as (..., frames), floating point."""
        given = img.shape[-1]
        if given < 2:
            raise ValueError(f"expected a cine of at least 2 frames, found {given}; one frame shows no beat")
        if given == self.frames:
            return img
        array = convert_data_type(img, np.ndarray)[0]
        array = array if array.dtype.kind == "f" else array.astype(np.float32)
        place = np.arange(self.frames) * given / self.frames
        before = place.astype(int)
        earlier, later = array[..., before], array[..., (before + 1) % given]
        resampled = earlier + (place - before).astype(array.dtype) * (later - earlier)
        return convert_to_dst_type(resampled, img, dtype=resampled.dtype)[0]


class ResampleTimed(MapTransform):
    """Dictionary form of :class:`ResampleTime`."""

    backend = ResampleTime.backend

    def __init__(self, keys: KeysCollection, frames: int = 40, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.resample = ResampleTime(frames)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Resample the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.resample(d[key])
        return d
