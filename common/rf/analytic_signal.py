"""The analytic signal of RF lines: channels of the network, and the B-mode image."""

from collections.abc import Sequence

import torch
from monai.config import NdarrayOrTensor
from monai.utils import convert_to_tensor
from torch import Tensor

CHANNELS = ("imaginary", "rf", "envelope")


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


def analytic_channels(rf: NdarrayOrTensor, channels: Sequence[str] = CHANNELS, scaling: str = "min_max") -> Tensor:
    """Return channels (C, H, W) of the analytic signal of one RF frame (H, W) or (1, H, W), axial first.

    Args:
        rf: the frame.
        channels: names and order of the channels: "imaginary", "rf", "envelope"; the default is the order of the
            authors' later demonstration.
        scaling: "min_max" maps each channel to [0, 1]; "deviation" divides all by the standard deviation of the RF;
            "none" leaves the values.

    Raises:
        ValueError: for unknown names, or more than one frame.
    """
    check_channels(channels, scaling)
    frame = convert_to_tensor(rf, dtype=torch.float32, track_meta=False)
    frame = frame[0] if frame.dim() == 3 and frame.shape[0] == 1 else frame
    if frame.dim() != 2:
        raise ValueError(f"rf: expected one frame (axial, lateral), found shape {tuple(frame.shape)}")
    signal = analytic_signal(frame)
    parts = {"imaginary": signal.imag, "rf": frame, "envelope": signal.abs()}
    image = torch.stack([parts[name] for name in channels])
    # A constant channel becomes 0.
    least = torch.finfo(frame.dtype).tiny
    if scaling == "deviation":
        return image / frame.std().clamp_min(least)
    if scaling == "min_max":
        low, high = image.amin((1, 2), keepdim=True), image.amax((1, 2), keepdim=True)
        return (image - low) / (high - low).clamp_min(least)
    return image


def check_channels(channels: Sequence[str], scaling: str) -> None:
    """Raise a ValueError for names that :func:`analytic_channels` does not know."""
    if not channels or set(channels) - set(CHANNELS):
        raise ValueError(f"channels: expected names among {CHANNELS}, found {tuple(channels)}")
    if scaling not in ("min_max", "deviation", "none"):
        raise ValueError(f"scaling: expected 'min_max', 'deviation' or 'none', found {scaling!r}")


def b_mode(rf: NdarrayOrTensor, dynamic_range_db: float = 50.0) -> Tensor:
    """Return the log-compressed envelope of RF (..., H, W), axial first, in decibels below the brightest pixel.

    A frame without signal is at the lower end everywhere.

    Args:
        rf: one frame or several.
        dynamic_range_db: positive; the result lies in [-`dynamic_range_db`, 0].
    """
    if dynamic_range_db <= 0:
        raise ValueError(f"dynamic_range_db: expected a positive number, found {dynamic_range_db}")
    envelope = analytic_signal(convert_to_tensor(rf, dtype=torch.float32, track_meta=False)).abs()
    largest = envelope.amax()
    if largest == 0:
        return torch.full_like(envelope, -dynamic_range_db)
    return 20 * torch.log10((envelope / largest).clamp_min(10 ** (-dynamic_range_db / 20)))
