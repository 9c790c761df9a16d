"""What is checked and resampled before the network sees a cine."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type


class CheckCine(Transform):
    """Returns a cine section as it is if it can serve.

    Raises:
        ValueError: (when called) unless the section is (1, H, W, T) with at least 2 frames, finite and not constant.
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012 MONAI declares it so

    def __call__(self, img: NdarrayOrTensor, name: str = "cine section") -> NdarrayOrTensor:
        """Return `img`; messages begin with `name`."""
        shape = tuple(img.shape)
        if len(shape) != 4 or shape[0] != 1:
            raise ValueError(f"{name}: expected one section of shape (1, H, W, T), found {shape}; select one section")
        if shape[-1] < 2:
            raise ValueError(f"{name}: expected at least 2 frames, found {shape[-1]}; export the whole cine series")
        array = convert_data_type(img, np.ndarray)[0]
        wrong = array.size - int(np.count_nonzero(np.isfinite(array)))
        if wrong:
            raise ValueError(
                f"{name}: expected finite pixels, found {wrong} of {array.size} NaN or infinite; export the series anew"
            )
        if array.min() == array.max():
            raise ValueError(
                f"{name}: expected an image, found the one value {array.flat[0]:g} in every pixel (standard deviation "
                "0); remove the section or export the series anew"
            )
        return img


class CheckCined(MapTransform):
    """Dictionary form of :class:`CheckCine`; messages name the item's "case" and "section" if it has them."""

    backend = CheckCine.backend

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.check = CheckCine()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Check the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        parts = [str(d["case"])] if "case" in d else []
        parts += [f"section {d['section']}"] if "section" in d else []
        for key in self.key_iterator(d):
            self.check(d[key], ", ".join(parts) or str(key))
        return d


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
