"""Images on the network's grid, and displacement from one grid to another with its values rescaled."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor
from torch.nn.functional import interpolate

from .analytic_signal import CHANNELS, analytic_channels, check_channels
from .levelling import level_amplitude, measure_speckle

# Samples a period of the pulse and columns a standard deviation of the beam on the grid that all arrays share.
_PERIOD_SAMPLES, _BEAM_COLUMNS = 8.0, 2.0


def resample_displacement(displacement: Tensor, size: Sequence[int]) -> Tensor:
    """Return displacement (..., 2 n, H, W) on a grid of `size`, its values in pixels of that grid.

    Args:
        displacement: channels in turn lateral (along W) and axial (along H), pixels of the present grid.
        size: (H, W) of the new grid over the same field of view.
    """
    factors = torch.tensor(
        [size[1] / displacement.shape[-1], size[0] / displacement.shape[-2]],
        dtype=displacement.dtype,
        device=displacement.device,
    )
    factors = factors.repeat(displacement.shape[-3] // 2)[:, None, None]
    return resample_image(displacement, size) * factors


def resample_image(image: Tensor, size: Sequence[int]) -> Tensor:
    """Return an image (..., C, H, W) on a grid of `size` over the same field of view, bilinear."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    batch = image if image.dim() == 4 else image[None]
    resampled = interpolate(batch, size=[int(size[0]), int(size[1])], mode="bilinear", align_corners=False)
    return resampled if image.dim() == 4 else resampled[0]


def alike(pre: Tensor, post: Tensor) -> tuple[Tensor, Tensor]:
    """Return two RF frames (1, H, W) levelled, with 8 samples a period and 2 columns a standard deviation of the beam.

    Both are measured in the first frame, so that the grid needs no metadata; at least 64 x 32.
    """
    first = pre[0].detach().float().cpu().numpy()
    speckle = measure_speckle(first)
    rows = max(64, round(first.shape[0] * _PERIOD_SAMPLES / speckle.period_samples))
    columns = max(32, round(first.shape[1] * _BEAM_COLUMNS / speckle.beam_lines))
    levelled = (level_amplitude(frame[0].detach().float().cpu().numpy(), speckle) for frame in (pre, post))
    made = [
        interpolate(torch.from_numpy(frame)[None, None], size=[rows, columns], mode="bicubic", align_corners=False)[0]
        for frame in levelled
    ]
    return made[0].to(pre.device), made[1].to(pre.device)


class RfPairToImaged(MapTransform):
    """Turn the frames under `keys` (pre, post) into one `image` of stacked channels on the network's grid.

    A `displacement` beside them is brought to that grid; `frame_size` (2) keeps the size of the frames.

    Args:
        keys: the first and the second frame, (1, H, W) each.
        grid_size: (H, W) of the network's grid; a None entry keeps the size of the frames along that axis. "array":
            frames are levelled and put on the grid on which all arrays look alike (:func:`alike`).
        channels, scaling: see :func:`common.rf.analytic_channels`.
        displacement_key: displacement to bring along, if it is there.
    """

    def __init__(
        self,
        keys: KeysCollection = ("pre", "post"),
        grid_size: Sequence[int | None] | str = (1920, 768),
        channels: Sequence[str] = CHANNELS,
        scaling: str = "min_max",
        displacement_key: str = "displacement",
    ) -> None:
        super().__init__(keys)
        if len(self.keys) != 2:
            raise ValueError(f"keys: expected those of two frames, found {self.keys}")
        if isinstance(grid_size, str) and grid_size != "array":
            raise ValueError(f"grid_size: expected [rows, columns] or 'array', found {grid_size!r}")
        self.grid_size = grid_size if isinstance(grid_size, str) else tuple(grid_size)
        self.displacement_key = displacement_key
        check_channels(channels, scaling)
        self.channels, self.scaling = tuple(channels), scaling

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add `image` and `frame_size`; the input mapping is left as it was."""
        d = dict(data)
        frames = [d[key] for key in self.keys]
        if isinstance(self.grid_size, str):
            shown = alike(*frames)
            size = list(shown[0].shape[-2:])
        else:
            shown = (frames[0], frames[1])
            size = [wanted or have for wanted, have in zip(self.grid_size, frames[0].shape[-2:], strict=True)]
        d["image"] = torch.cat(
            [resample_image(analytic_channels(frame, self.channels, self.scaling), size) for frame in shown]
        )
        d["frame_size"] = torch.tensor(frames[0].shape[-2:])
        if self.displacement_key in d:
            d[self.displacement_key] = resample_displacement(d[self.displacement_key], size)
        return d


class RestoreDisplacementd(MapTransform):
    """Bring the displacement under `keys` from the network's grid back to that of the frames, values rescaled.

    Args:
        keys: displacement (2 n, H, W).
        size_key: entry with the size of the frames, as :class:`RfPairToImaged` wrote it.
    """

    def __init__(self, keys: KeysCollection, size_key: str = "frame_size", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size_key = size_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Restore the grid; the input mapping is left as it was."""
        d = dict(data)
        size = [int(side) for side in d[self.size_key]]
        for key in self.key_iterator(d):
            d[key] = resample_displacement(d[key].float(), size)
        return d
