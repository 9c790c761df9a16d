"""What is checked and resampled before the network sees a cine."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type
from numpy.typing import NDArray

_MOST_CUT = 0.25


class CutIntensityd(MapTransform):
    """Cuts grey values at `highest`.

    Args:
        keys: slices to cut.
        highest: grey value; the paper's is 2000.
        allow_missing_keys: skip the keys that are not there.

    Raises:
        ValueError: (when called) if more than a quarter of the pixels lie above `highest`: numbers of such a scale lose
            the heart to the cut.

    References:
        Zhong et al., EMBC 2021, section IV.A.
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012 MONAI declares it so

    def __init__(self, keys: KeysCollection, highest: float = 2000.0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.highest = highest

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Cut the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            img: Any = d[key]
            above = float((img > self.highest).sum()) / float(np.prod(img.shape))
            if above > _MOST_CUT:
                raise ValueError(
                    f"expected grey values of which few lie above {self.highest:g}, where they are cut, found "
                    f"{above:.0%} above it; give a higher max_intensity"
                )
            d[key] = img.clip(max=self.highest)
        return d


class ResampleTimed(MapTransform):
    """Resamples the last axis, one heart beat, to `frames` frames: the beat is a circle, its end lies before its start.

    Linear interpolation on the circle. Fourier interpolation would keep more of the sharpest motion, but it rings over
    the whole beat where a prospectively gated cine misses the last part of diastole, and leaves the range of the grey
    values. A slice that has `frames` even frames already comes back as it is. Where a MetaTensor has "phases" in its
    `meta`, its frames were taken at those fractions of the beat; else they are even.

    Args:
        keys: slices (..., T) to resample; they become floating point.
        frames: frames of the result; frame k of n stands for the phase k / n of the beat.
        allow_missing_keys: skip the keys that are not there.

    Raises:
        ValueError: for fewer than 2 `frames`, or (when called) a slice of fewer than 2.
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012 MONAI declares it so

    def __init__(self, keys: KeysCollection, frames: int = 40, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if frames < 2:
            raise ValueError(f"frames: expected at least 2, found {frames}")
        self.frames = frames

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Resample the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self._resampled(d[key])
        return d

    def _resampled(self, img: NdarrayOrTensor) -> NdarrayOrTensor:
        given = img.shape[-1]
        if given < 2:
            raise ValueError(f"expected a cine of at least 2 frames, found {given}; one frame shows no beat")
        phases = img.meta.get("phases") if isinstance(img, MetaTensor) else None
        if given == self.frames and phases is None:
            return img
        array = convert_data_type(img, np.ndarray)[0]
        array = array if array.dtype.kind == "f" else array.astype(np.float32)
        before, weight = _neighbours(self.frames, given, phases)
        earlier, later = array[..., before], array[..., (before + 1) % given]
        resampled = earlier + weight.astype(array.dtype) * (later - earlier)
        result = convert_to_dst_type(resampled, img, dtype=resampled.dtype)[0]
        if isinstance(result, MetaTensor):
            result.meta.pop("phases", None)
        return result


def _neighbours(frames: int, given: int, phases: Any) -> tuple[NDArray, NDArray]:
    """Return for each of `frames` even phases the frame before it on the circle, and how far on it is to the next."""
    if phases is None:
        position = np.arange(frames) * given / frames
        before = position.astype(int)
        return before, position - before
    taken, wanted = np.asarray(phases, dtype=np.float64), np.arange(frames) / frames
    before = (np.searchsorted(taken, wanted, side="right") - 1) % given
    step = (np.roll(taken, -1) - taken) % 1.0
    return before, ((wanted - taken[before]) % 1.0) / step[before]
