"""B-mode image of a radio-frequency frame."""

import torch
from monai.config import NdarrayOrTensor
from monai.transforms import Transform
from monai.utils import TransformBackends, convert_to_tensor
from torch import Tensor

from common.rf.analytic_signal import analytic_signal


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
