"""Figures of displacement and strain: contrast and errors, of one pair, and rows while a network trains."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from .loss import ElastographyLoss
from .quality import least_squares_slope


def contrast_to_noise(target: ArrayLike, background: ArrayLike) -> float:
    """Return sqrt(2 (mean_b - mean_t)^2 / (var_b + var_t)) of strain in two windows (eq. 8); infinite without noise."""
    t, b = np.asarray(target, dtype=float), np.asarray(background, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(2 * (b.mean() - t.mean()) ** 2 / (b.var() + t.var())))


def strain_ratio(target: ArrayLike, background: ArrayLike) -> float:
    """Return the mean strain of the target over that of the background (eq. 8)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.asarray(target, dtype=float).mean() / np.asarray(background, dtype=float).mean())


def strain_signal_to_noise(strain: ArrayLike) -> float:
    """Return the absolute mean over the standard deviation of strain in a window meant to be uniform (SNRe)."""
    values = np.asarray(strain, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(abs(values.mean()) / values.std())


def error_statistics(estimate: ArrayLike, reference: ArrayLike) -> dict[str, float]:
    """Return `rmse`, `bias` (mean error) and `sd` (standard deviation of the error); rmse^2 = bias^2 + sd^2."""
    error = np.asarray(estimate, dtype=float) - np.asarray(reference, dtype=float)
    return {"rmse": float(np.sqrt(np.mean(error**2))), "bias": float(error.mean()), "sd": float(error.std())}


def window_metrics(strain: NDArray, windows: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return CNR, SR and SNRe of a strain image for windows given by hand.

    Args:
        strain: (H, W).
        windows: `target`, `background` and optionally `uniform`, each [first row, row after the last, first column,
            column after the last].

    Returns:
        `cnr`, `sr` and `snre` (of `uniform`, or of the background if there is none).

    Raises:
        ValueError: if a window is missing, empty or reaches outside the image.
    """
    missing = {"target", "background"} - set(windows)
    if missing:
        raise ValueError(f"windows: expected 'target' and 'background', found {sorted(windows)}")
    cut = {name: _window(strain, name, bounds) for name, bounds in windows.items()}
    return {
        "cnr": contrast_to_noise(cut["target"], cut["background"]),
        "sr": strain_ratio(cut["target"], cut["background"]),
        "snre": strain_signal_to_noise(cut.get("uniform", cut["background"])),
    }


def _window(strain: NDArray, name: str, bounds: Sequence[int]) -> NDArray:
    top, bottom, left, right = (int(bound) for bound in bounds)
    if not (0 <= top < bottom <= strain.shape[0] and 0 <= left < right <= strain.shape[1]):
        raise ValueError(
            f"windows: {name} = {list(bounds)} is no part of an image of {strain.shape[0]} rows and "
            f"{strain.shape[1]} columns (expected [first row, end row, first column, end column])"
        )
    return strain[top:bottom, left:right]


Row = dict[str, Any]

# The window that the paper's group uses on phantoms.
_STRAIN_ROWS = 43


def end_point_row(item: Mapping[str, Any], output: Mapping[str, Any]) -> Row:
    """Return the mean absolute errors of `pred` against `displacement`: lateral (lines), axial (samples), strain (%).

    The strain is the least-squares slope of the axial displacement over 43 rows, fewer where there are not as many. It
    is what the displacement is for, and not its smallest error: a constant offset costs it nothing, a ripple much.
    """
    error = output["pred"][:2].float() - item["displacement"].to(output["pred"].device)
    lateral, axial = error.abs().mean((1, 2)).tolist()
    rows = error.shape[1]
    strain = least_squares_slope(error[1], min(_STRAIN_ROWS, rows - 1 + rows % 2), dim=0).abs().mean()
    return {
        "case": str(item["case"]),
        "lateral_error": lateral,
        "axial_error": axial,
        "strain_error": 100 * float(strain),
    }


class ElastographyRow:
    """The unsupervised loss of one pair: its value, data term and fraction of reliable pixels.

    Args:
        loss: the loss; it is not skipped for pairs with few reliable pixels here.
    """

    def __init__(self, loss: nn.Module | None = None) -> None:
        self.loss = loss if isinstance(loss, ElastographyLoss) else ElastographyLoss()

    def __call__(self, item: Mapping[str, Any], output: Mapping[str, Any]) -> Row:
        """Return the row of a pair from its `image` and the 4-channel `pred` on the same grid."""
        with torch.no_grad():
            pred = output["pred"].float()
            terms = self.loss.terms(pred[None], item["image"].to(pred.device)[None].float())
        return {
            "case": str(item["case"]),
            "loss": float(terms.data + terms.first_order + terms.second_order),
            "data_term": float(terms.data),
            "reliable_fraction": float(terms.reliable_fraction),
        }


class MeanOf:
    """The mean of one column of rows; NaN without rows.

    Args:
        column: name of the column.
    """

    def __init__(self, column: str) -> None:
        self.column = column

    def __call__(self, rows: Sequence[Row]) -> float:
        """Return the mean."""
        return sum(row[self.column] for row in rows) / len(rows) if rows else float("nan")


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

    Raises:
        ValueError: if displacement and reference differ in size, or a window does not fit.
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
            if found.shape != reference.shape:
                raise ValueError(
                    f"{name}: expected displacement and reference of one size, found {tuple(found.shape)} and "
                    f"{tuple(reference.shape)}"
                )
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
