"""All figures of one frame pair and one method: errors against the reference, contrast, agreement of frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .loss import ElastographyLoss
from .scores import contrast_to_noise, error_statistics, strain_ratio, window_metrics

# Background of an inclusion: beyond this many radii from its centre; target: within the first.
_TARGET_RADII, _BACKGROUND_RADII = 0.8, 1.5


def case_figures(
    displacement: Tensor,
    strain: Tensor,
    item: Mapping[str, Any],
    image: Tensor,
    edges: Sequence[int] = (40, 10),
    windows: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, float]:
    """Return the figures of one method on one pair.

    Args:
        displacement: (4, H, W) displacement forward and backward (lateral lines, axial samples).
        strain: (1, H, W) axial strain of the forward displacement.
        item: the pair as :class:`common.rf.LoadRfPaird` gives it: `displacement`, `strain`, `inclusion`, `sample_mm`
            and `pitch_mm` are used where they are there.
        image: (2 C, H, W) channels of both frames on the same grid, for the data term.
        edges: samples and lines left out at each side in all figures but those of windows.
        windows: see :func:`common.rf.window_metrics`; for pairs without a known inclusion.

    Returns:
        `data_term`, `reliable_fraction`; with the reference `axial_rmse`, `axial_bias`, `axial_sd` (samples),
        `lateral_*` (lines), `strain_*` (percent); with an inclusion or windows `cnr` and `sr`; with an inclusion
        `sr_error` (absolute difference from 2 / (1 + G)); with windows `snre`.
    """
    terms = ElastographyLoss().terms(displacement[None].float(), image[None].float())
    figures = {"data_term": float(terms.data), "reliable_fraction": float(terms.reliable_fraction)}
    inner = tuple(slice(min(e, n // 4), n - min(e, n // 4)) for e, n in zip(edges, strain.shape[-2:], strict=True))
    estimate = strain[0].double().cpu().numpy()
    if "displacement" in item:
        pairs = {
            "axial": (displacement[1], item["displacement"][1], 1.0),
            "lateral": (displacement[0], item["displacement"][0], 1.0),
            "strain": (strain[0], item["strain"][0], 100.0),
        }
        for name, (found, reference, scale) in pairs.items():
            arrays = [scale * torch.as_tensor(x).double().cpu().numpy()[inner] for x in (found, reference)]
            figures |= {f"{name}_{key}": value for key, value in error_statistics(*arrays).items()}
    if windows:
        return figures | window_metrics(estimate, windows)
    if np.isfinite(np.asarray(item.get("inclusion", np.nan), dtype=float)).all():
        figures |= _inclusion_figures(estimate, item, inner)
    return figures


def inclusion_masks(item: Mapping[str, Any], shape: Sequence[int]) -> tuple[NDArray, NDArray]:
    """Return where target (within .8 radii) and background (beyond 1.5 radii) of a known inclusion are, (H, W)."""
    axial_mm, lateral_mm, radius_mm = (float(value) for value in item["inclusion"][:3])
    rows = (np.arange(shape[0])[:, None] + int(item.get("first_sample", 0))) * float(item["sample_mm"])
    columns = np.arange(shape[1])[None] * float(item["pitch_mm"])
    radii = np.hypot(rows - axial_mm, columns - lateral_mm) / radius_mm
    return radii < _TARGET_RADII, radii > _BACKGROUND_RADII


def _inclusion_figures(strain: NDArray, item: Mapping[str, Any], inner: tuple[slice, ...]) -> dict[str, float]:
    target, background = (mask[inner] for mask in inclusion_masks(item, strain.shape))
    values = strain[inner]
    ratio = strain_ratio(values[target], values[background])
    exact = 2 / (1 + float(item["inclusion"][3]))
    return {
        "cnr": contrast_to_noise(values[target], values[background]),
        "sr": ratio,
        "sr_exact": exact,
        "sr_error": abs(ratio - exact),
    }
