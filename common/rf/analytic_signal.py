"""The analytic signal of RF lines: channels of the network, and the B-mode image."""

from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_tensor
from torch import Tensor

_CHANNELS = ("imaginary", "rf", "envelope")


def analytic_signal(rf: Tensor, dim: int = -2) -> Tensor:
    """Return the complex analytic signal of real `rf` along `dim`: negative frequencies left out, positive doubled.

    Args:
        rf: real, any shape; its samples along `dim` are evenly spaced.
        dim: axis of depth (-2: rows of an image).

    References:
        Marple, IEEE Trans. Signal Processing 47(9), 1999 (discrete-time analytic signal by FFT).
    """
    count = rf.shape[dim]
    weights = torch.zeros(count, dtype=rf.dtype, device=rf.device)
    weights[0] = 1
    weights[1 : (count + 1) // 2] = 2
    if count % 2 == 0:
        weights[count // 2] = 1
    shape = [1] * rf.dim()
    shape[dim] = count
    return torch.fft.ifft(torch.fft.fft(rf, dim=dim) * weights.view(shape), dim=dim)


class AnalyticChannels(Transform):
    """Turn an RF frame into channels of its analytic signal, each scaled on its own.

    Args:
        channels: names and order of the channels: "imaginary", "rf", "envelope"; the default is the order of the
            authors' later demonstration.
        scaling: "min_max" maps each channel of each frame to [0, 1]; "deviation" divides all by the standard
            deviation of the RF; "none" leaves the values.

    Raises:
        ValueError: for unknown names.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, channels: Sequence[str] = _CHANNELS, scaling: str = "min_max") -> None:
        if not channels or set(channels) - set(_CHANNELS):
            raise ValueError(f"channels: expected names among {_CHANNELS}, found {tuple(channels)}")
        if scaling not in ("min_max", "deviation", "none"):
            raise ValueError(f"scaling: expected 'min_max', 'deviation' or 'none', found {scaling!r}")
        self.channels, self.scaling = tuple(channels), scaling

    def __call__(self, rf: NdarrayOrTensor) -> Tensor:
        """Return the channels (C, H, W) of one RF frame (H, W) or (1, H, W), axial first."""
        frame = convert_to_tensor(rf, dtype=torch.float32, track_meta=False)
        frame = frame[0] if frame.dim() == 3 and frame.shape[0] == 1 else frame
        if frame.dim() != 2:
            raise ValueError(f"rf: expected one frame (axial, lateral), found shape {tuple(frame.shape)}")
        signal = analytic_signal(frame)
        parts = {"imaginary": signal.imag, "rf": frame, "envelope": signal.abs()}
        return self._scaled(torch.stack([parts[name] for name in self.channels]), frame)

    def _scaled(self, image: Tensor, frame: Tensor) -> Tensor:
        if self.scaling == "none":
            return image
        if self.scaling == "deviation":
            return image / frame.std().clamp_min(torch.finfo(frame.dtype).tiny)
        low, high = image.amin((1, 2), keepdim=True), image.amax((1, 2), keepdim=True)
        # A constant channel becomes 0.
        return (image - low) / (high - low).clamp_min(torch.finfo(frame.dtype).tiny)


class AnalyticChannelsd(MapTransform):
    """Dictionary form of :class:`AnalyticChannels`."""

    backend = AnalyticChannels.backend

    def __init__(
        self,
        keys: KeysCollection,
        channels: Sequence[str] = _CHANNELS,
        scaling: str = "min_max",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.convert = AnalyticChannels(channels, scaling)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Convert the frames under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.convert(d[key])
        return d


class BMode(Transform):
    """Turn RF (..., H, W), axial first, into its log-compressed envelope in decibels below the brightest pixel.

    Args:
        dynamic_range_db: positive; the result lies in [-`dynamic_range_db`, 0].
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, dynamic_range_db: float = 50.0) -> None:
        if dynamic_range_db <= 0:
            raise ValueError(f"dynamic_range_db: expected a positive number, found {dynamic_range_db}")
        self.dynamic_range_db = dynamic_range_db

    def __call__(self, rf: NdarrayOrTensor) -> Tensor:
        """Return the image in dB; a frame without signal is at the lower end everywhere."""
        envelope = analytic_signal(convert_to_tensor(rf, dtype=torch.float32, track_meta=False)).abs()
        largest = envelope.amax()
        if largest == 0:
            return torch.full_like(envelope, -self.dynamic_range_db)
        floor = 10 ** (-self.dynamic_range_db / 20)
        return 20 * torch.log10((envelope / largest).clamp_min(floor))
