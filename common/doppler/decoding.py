"""Heat maps to points: separated local maxima with sub-pixel position and confidence."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends
from torch import Tensor
from torch.nn import functional

from .confidence import Confidence
from .ecg import find_r_peaks
from .fit import cut_trace, to_image
from .naming import Tops, merged_tops, name_waves, usable_tops

CANDIDATE = 0.4  # of the absolute threshold: what a top needs to be looked at


def decode_peaks(
    heat_maps: Tensor,
    min_distance_px: int = 20,
    relative_threshold: float = 0.5,
    absolute_threshold: float = 0.1,
    max_peaks: int = 32,
) -> tuple[Tensor, Tensor]:
    """Return (..., K, 2) points (x, y), best first, and their (..., K) confidences; NaN and 0 where there is none.

    A peak is the largest value of the square window that reaches `min_distance_px` around it. Of equal values the
    first in reading order counts. The position is refined by the parabola through the logarithm of the peak and its
    two neighbours along each axis, which finds the centre of a Gaussian exactly. The confidence is the peak's height,
    cut to [0, 1]: the maps are trained to be 1 at a certain peak.

    Args:
        heat_maps: (..., H, W).
        min_distance_px: peaks are further apart than this along x or y; at least 1.
        relative_threshold: fraction of the largest value of the map that a peak must reach.
        absolute_threshold: height that a peak must reach besides, so that a map without a wave gives no peak.
        max_peaks: K, the number of best peaks kept in each map.

    Raises:
        ValueError: if a setting is outside its range.

    References:
        Distance 20 px and relative threshold 0.5: Unity Imaging's decoding of whole images.
    """
    if min_distance_px < 1 or max_peaks < 1 or not 0 <= relative_threshold <= 1:
        raise ValueError(
            "expected min_distance_px and max_peaks of at least 1 and relative_threshold in [0, 1], found "
            f"{min_distance_px}, {max_peaks} and {relative_threshold}"
        )
    height, width = heat_maps.shape[-2:]
    flat = heat_maps.detach().reshape(-1, height, width)
    if flat.dtype in (torch.float16, torch.bfloat16):
        flat = flat.float()
    # On a CPU a few maps at a time stay in its cache, which is four times as quick as all at once.
    parts = flat.split(2 if flat.device.type == "cpu" else len(flat) or 1)
    decoded = [_decoded(part, min_distance_px, relative_threshold, absolute_threshold, max_peaks) for part in parts]
    leading = heat_maps.shape[:-2]
    points = torch.cat([one for one, _ in decoded]).reshape(*leading, max_peaks, 2)
    return points, torch.cat([one for _, one in decoded]).reshape(*leading, max_peaks)


def _decoded(
    flat: Tensor, reach: int, relative_threshold: float, absolute_threshold: float, max_peaks: int
) -> tuple[Tensor, Tensor]:
    """Return (N, K, 2) points and (N, K) confidences of (N, H, W) maps."""
    height, width = flat.shape[-2:]
    window_max = _window_max(flat, reach)
    floor = torch.clamp(relative_threshold * flat.amax((1, 2), keepdim=True), min=absolute_threshold)
    candidates = torch.where((flat == window_max) & (flat >= floor), flat, flat.new_tensor(-torch.inf)).flatten(1)
    heights, positions = candidates.topk(min(max_peaks, height * width), dim=1)
    kept = _first_of_close_ones(positions, heights.isfinite(), width, reach)
    points = _refined(flat, positions)
    points = torch.where(kept[..., None], points, points.new_tensor(torch.nan))
    scores = torch.where(kept, heights.clamp(0, 1), heights.new_zeros(()))
    order = torch.argsort(kept, dim=1, descending=True, stable=True)
    points, scores = points.gather(1, order[..., None].expand(-1, -1, 2)), scores.gather(1, order)
    missing = max_peaks - points.shape[1]
    return functional.pad(points, (0, 0, 0, missing), value=torch.nan), functional.pad(scores, (0, missing))


def _window_max(maps: Tensor, reach: int) -> Tensor:
    """Return the maximum over the square window of 2 `reach` + 1, in steps that grow as the logarithm of its side."""
    padded = functional.pad(maps, (reach,) * 4, value=-torch.inf)
    return _running_max(_running_max(padded, 2 * reach + 1, -1), 2 * reach + 1, -2)


def _running_max(values: Tensor, size: int, axis: int) -> Tensor:
    """Return the maxima of `size` neighbours along `axis`, which becomes `size` - 1 shorter: windows that double."""
    length, result = 1, values.shape[axis] - size + 1
    while 2 * length <= size:
        count = values.shape[axis] - length
        values = torch.maximum(values.narrow(axis, 0, count), values.narrow(axis, length, count))
        length *= 2
    return torch.maximum(values.narrow(axis, 0, result), values.narrow(axis, size - length, result))


def _first_of_close_ones(positions: Tensor, usable: Tensor, width: int, reach: int) -> Tensor:
    """Return which of (N, K) positions, best first, have no kept better one within the window, for plateaus."""
    x, y = positions % width, positions // width
    close = torch.maximum((x[:, :, None] - x[:, None]).abs(), (y[:, :, None] - y[:, None]).abs()) <= reach
    kept = usable.clone()
    for index in range(1, positions.shape[1]):
        kept[:, index] &= ~(close[:, index, :index] & kept[:, :index]).any(1)
    return kept


def _refined(maps: Tensor, positions: Tensor) -> Tensor:
    """Return (N, K, 2) tops of the parabolas; a peak on the border or a plateau keeps its pixel's centre."""
    height, width = maps.shape[1:]
    x, y = positions % width, positions // width
    logs = maps.clamp(min=torch.finfo(maps.dtype).tiny).log().flatten(1)
    offsets = []
    for at, step, count in ((x, 1, width), (y, width, height)):
        before = logs.gather(1, (positions - step).clamp(min=0))
        centre = logs.gather(1, positions)
        after = logs.gather(1, (positions + step).clamp(max=logs.shape[1] - 1))
        bend = before - 2 * centre + after
        shift = torch.where(bend < 0, 0.5 * (before - after) / bend, torch.zeros_like(bend)).clamp(-0.5, 0.5)
        offsets.append(torch.where((at > 0) & (at < count - 1), shift, torch.zeros_like(shift)))
    return torch.stack([x + offsets[0], y + offsets[1]], dim=-1)


def _r_peaks(item: Mapping[Hashable, Any]) -> Tensor:
    """Return the (N,) image columns of the R peaks on the trace of an item, if it has one."""
    if "trace" not in item or "calibration" not in item:
        return torch.empty(0, dtype=torch.float64)
    trace, placement = cut_trace(item)
    columns = torch.from_numpy(find_r_peaks(trace.numpy(), float(item["calibration"][2]) / float(placement[2])))
    return to_image(torch.stack([columns, columns], -1), placement)[:, 0]


class DecodePeaksd(MapTransform):
    """Heat maps under `keys` to `points` (C, K, 2) in image pixels and their `confidence` (C, K), best first.

    The tops of both maps are named together, see :func:`common.doppler.name_waves`: the thresholds are heights at which
    a top by itself is as likely a wave as not. `unused_tops` counts those that are likely waves by themselves and fit
    into no series of beats. An ECG drawn on the `trace`, if there is one, helps to name them: `r_peaks` (N,) are the
    image columns of its R peaks.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 - MONAI declares a list

    def __init__(
        self,
        keys: KeysCollection = "pred",
        placement_key: str = "placement",
        exclusive_px: float = 4,
        relative_threshold: float = 0.5,
        absolute_threshold: float = 0.2,
        confidence: Confidence | None = None,
        **settings: Any,
    ) -> None:
        """Keep the settings.

        Args:
            keys: heat maps.
            placement_key: key of the way back to image pixels; `box` and `calibration` are used where they are.
            exclusive_px: tops of different maps within this distance, in pixels of the maps, are one.
            relative_threshold, absolute_threshold: fraction of the largest top of a trace, and height.
            confidence: from the margin of a name to its probability; None takes the margin as log odds.
            settings: of :func:`decode_peaks`.

        Raises:
            ValueError: if a threshold or distance is outside its range.
        """
        super().__init__(keys)
        if not (0 <= relative_threshold <= 1 and 0 < absolute_threshold < 1 and exclusive_px >= 0):
            raise ValueError(
                "expected relative_threshold in [0, 1], absolute_threshold between 0 and 1 and exclusive_px not below "
                f"0, found {relative_threshold}, {absolute_threshold} and {exclusive_px}"
            )
        self.placement_key, self.exclusive_px, self.settings = placement_key, exclusive_px, settings
        self.thresholds, self.confidence = (relative_threshold, absolute_threshold), confidence or Confidence()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add points and confidence; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            floors = {"relative_threshold": 0.0, "absolute_threshold": CANDIDATE * self.thresholds[1]}
            found, heights = decode_peaks(torch.as_tensor(d[key]), **{**self.settings, **floors})
            placement = torch.as_tensor(d[self.placement_key]).double().cpu()
            d["r_peaks"] = _r_peaks(d)
            points, confidence, unused = self._named(found.double().cpu(), heights.cpu(), placement, d)
            d["points"], d["confidence"] = points.to(found.device), confidence.to(found.device)
            d["unused_tops"] = unused
        return d

    def _named(
        self, found: Tensor, heights: Tensor, placement: Tensor, d: Mapping[Hashable, Any]
    ) -> tuple[Tensor, Tensor, int]:
        box = torch.as_tensor(d.get("box", (-math.inf, -math.inf, math.inf, math.inf))).tolist()
        calibration = torch.as_tensor(d.get("calibration", (math.nan,) * 3)).tolist()
        tops = merged_tops(found.numpy(), heights.numpy(), self.exclusive_px)
        in_image = to_image(torch.from_numpy(tops.points), placement).numpy()
        usable = usable_tops(in_image, tops.heights, box, calibration)
        tops, in_image = Tops(tops.points[usable], tops.heights[usable]), in_image[usable]
        threshold = max(self.thresholds[0] * tops.heights.max(initial=0.0), self.thresholds[1])
        choices = name_waves(in_image[..., 0], tops.heights, calibration[2], threshold, np.asarray(d["r_peaks"]))
        is_unused = tops.heights.max(1, initial=0.0) >= threshold
        is_unused[[choice.top for choice in choices]] = False
        points, confidence = torch.full_like(found, math.nan), torch.zeros(heights.shape)
        for wave in range(2):
            named = sorted((one for one in choices if one.wave == wave), key=lambda one: -one.margin)
            for place, one in enumerate(named[: points.shape[1]]):
                points[wave, place] = torch.from_numpy(in_image[one.top, wave])
                confidence[wave, place] = self.confidence(one.margin)
        return points, confidence, int(is_unused.sum())
