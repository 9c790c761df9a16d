"""Results of an inference for each pair: displacement, strain and quality as images, a figure, one row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.failures import FailureLog
from ..errors import UnusableFileError
from ..evaluation.case_results import CaseResults
from ..figure import figure
from ..files import replacing
from .analytic_signal import BMode
from .loss import reliable_pixels
from .ncc import local_correlation
from .strain import AxialStrain
from .warping import warp

_COLUMNS = [
    "case",
    "mean_strain_percent",
    "mean_axial_displacement_mm",
    "reliable_share",
    "median_correlation",
    "mean_axial_velocity_mm_s",
    "remark",
]
_LEAST_CORRELATION = 0.6


class ElastographyResults(CaseResults):
    """Writes `CASE_displacement`, `CASE_strain`, `CASE_quality`, `CASE.json` and `CASE.png` of each pair.

    Displacement has two components (lateral, axial) in mm; strain has no unit (compression is negative); quality is
    the correlation of the first frame with the second one fetched back, 0 where forward and backward displacement
    disagree by a pixel or more. Geometry: the first axis is lateral, the second axial, in mm.

    Args:
        failures: where a pair goes whose results cannot be written.
        window: samples of the strain fit.
        image_format: suffix of the images: ".nii.gz", ".nii" or ".mha".
        weights: which weights made the result.
    """

    def __init__(
        self, failures: FailureLog, window: int = 43, image_format: str = ".nii.gz", weights: Any = ""
    ) -> None:
        if image_format not in (".nii.gz", ".nii", ".mha"):
            raise ValueError(f"image_format: expected '.nii.gz', '.nii' or '.mha', found {image_format!r}")
        super().__init__(failures, _COLUMNS, weights)
        self.strain, self.suffix = AxialStrain(window), image_format

    def write_case(self, case: str, parts: list[Any]) -> dict[str, Any]:
        """Write maps and figure of one pair and return its row."""
        ((item, result),) = parts
        flow = result["pred"].detach().float().cpu()
        spacing = _spacing(item)
        strain = self.strain(flow)[0].numpy()
        quality = quality_map(item["pre"].cpu(), item["post"].cpu(), flow)
        millimetres = flow[:2].numpy() * np.array(spacing)[:, None, None]
        origin = (0.0, float(item["first_sample"]) * spacing[1])
        for name, values in (("displacement", millimetres), ("strain", strain), ("quality", quality)):
            _write_image(self.file(case, f"_{name}{self.suffix}"), values, spacing, origin)
        row = _row(item, millimetres, strain, quality, flow)
        self.write_json(case, row)
        self._draw(case, item, -100 * strain, quality, row, spacing)
        return row

    def _draw(
        self,
        case: str,
        item: Mapping[str, Any],
        compression: NDArray,
        quality: NDArray,
        row: Mapping[str, Any],
        spacing: tuple[float, float],
    ) -> None:
        height, width = compression.shape
        extent = (0, width * spacing[0], height * spacing[1], 0)
        inner = compression[height // 20 : -height // 20 or None]
        low, high = (1.1 * float(x) for x in np.percentile(inner, [1, 99]))
        panels = (
            ("B-mode (dB)", BMode()(item["pre"][0].cpu()).numpy(), "gray", -50, 0),
            ("compression (%)", compression, "viridis", min(low, 0), max(high, 0)),
            ("quality", quality, "magma", 0, 1),
        )
        with figure(self.file(case, ".png"), 9.5, 4, f"{case}: {row['remark'] or 'frames agree'}") as made:
            for axes, (title, values, colours, least, most) in zip(made.subplots(1, 3), panels, strict=True):
                shown = axes.imshow(values, cmap=colours, vmin=least, vmax=most, extent=extent)
                axes.set(title=title, xlabel="lateral (mm)")
                made.colorbar(shown, ax=axes, shrink=0.8)


def quality_map(pre: torch.Tensor, post: torch.Tensor, flow: torch.Tensor) -> NDArray:
    """Return (H, W) in [0, 1]: how well the frames match after the displacement; 0 where both ways disagree.

    Args:
        pre, post: RF frames (1, H, W).
        flow: (4, H, W) displacement forward and backward, lines and samples.
    """
    fetched = warp(post[None], flow[None, :2])[0, 0].numpy()
    agree = reliable_pixels(flow[None, :2], flow[None, 2:], warp_backward=True)[0, 0].numpy()
    return np.clip(local_correlation(pre[0].numpy(), fetched), 0, 1) * agree


def _row(
    item: Mapping[str, Any], millimetres: NDArray, strain: NDArray, quality: NDArray, flow: torch.Tensor
) -> dict[str, Any]:
    share = float(reliable_pixels(flow[None, :2], flow[None, 2:], warp_backward=True).mean())
    correlation = float(np.median(quality))
    doubtful = share < 0.5 or correlation < _LEAST_CORRELATION
    axial, interval = float(millimetres[1].mean()), float(item["frame_interval_s"])
    return {
        "mean_strain_percent": round(100 * float(strain.mean()), 4),
        "mean_axial_displacement_mm": round(axial, 5),
        "reliable_share": round(share, 4),
        "median_correlation": round(correlation, 4),
        "mean_axial_velocity_mm_s": round(axial / interval, 4) if np.isfinite(interval) else "",
        "remark": "frames do not match: do not read this strain" if doubtful else "",
    }


def _spacing(item: Mapping[str, Any]) -> tuple[float, float]:
    spacing = (float(item["pitch_mm"]), float(item["sample_mm"]))
    if not np.isfinite(spacing).all():
        raise UnusableFileError(
            f"{item.get('pre_path', item['case'])}: the distance of lines or samples is not in the file; set pitch_mm, "
            "sampling_mhz and sound_speed_m_s"
        )
    return spacing


def _write_image(path: Path, values: NDArray, spacing: tuple[float, float], origin: tuple[float, float]) -> None:
    import SimpleITK

    vector = values.ndim == 3
    image = SimpleITK.GetImageFromArray(np.moveaxis(values, 0, -1) if vector else values, isVector=vector)
    image = SimpleITK.Cast(image, SimpleITK.sitkVectorFloat32 if vector else SimpleITK.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    with replacing(path) as temporary:
        SimpleITK.WriteImage(image, str(temporary))
