"""What inference leaves behind for each pair: displacement, strain and quality as images, a picture, one row."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.failures import FailureLog
from ..errors import UnusableFileError
from ..evaluation.case_results import CaseResults
from ..files import replacing, write_json
from .analytic_signal import b_mode
from .loss import reliable_pixels
from .ncc import local_correlation
from .strain import axial_strain
from .warping import warp

_COLUMNS = [
    "case",
    "mean_strain_percent",
    "mean_axial_displacement_mm",
    "reliable_fraction",
    "median_correlation",
    "mean_axial_velocity_mm_s",
    "remark",
]
_LEAST_CORRELATION = 0.6


class ElastographyResults(CaseResults):
    """Writes `CASE_displacement`, `CASE_strain`, `CASE_quality`, `CASE.json`, `CASE.png` of each pair, then all rows.

    Displacement has two components (lateral, axial) in mm; strain has no unit (compression is negative); quality is
    the correlation of the first frame with the second one fetched back, 0 where forward and backward displacement
    disagree by a pixel or more. Geometry: the first axis is lateral, the second axial, in mm.

    Args:
        output_dir: folder to write to.
        failures: where a pair goes whose results cannot be written.
        window: samples of the strain fit.
        image_format: suffix of the images: ".nii.gz" or ".mha".
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        failures: FailureLog,
        window: int = 43,
        image_format: str = ".nii.gz",
    ) -> None:
        if image_format not in (".nii.gz", ".nii", ".mha"):
            raise ValueError(f"image_format: expected '.nii.gz', '.nii' or '.mha', found {image_format!r}")
        super().__init__(output_dir, failures, _COLUMNS)
        self.window, self.suffix = window, image_format

    def write_case(self, item: Mapping[str, Any], result: Any) -> dict[str, Any]:
        """Write maps and picture of one pair and return its row."""
        displacement = result["pred"].detach().float().cpu()
        spacing = _spacing(item)
        strain = axial_strain(displacement, self.window)[0].numpy()
        quality = quality_map(item["pre"].cpu(), item["post"].cpu(), displacement)
        millimetres = displacement[:2].numpy() * np.array(spacing)[:, None, None]
        case = str(item["case"])
        origin = (0.0, float(item["first_sample"]) * spacing[1])
        for name, values in (("displacement", millimetres), ("strain", strain), ("quality", quality)):
            _write_image(self.folder / f"{case}_{name}{self.suffix}", values, spacing, origin)
        row = _row(item, millimetres, strain, quality, displacement)
        write_json(self.folder / f"{case}.json", {**row, "note": "Research use only; not a medical device."})
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
        from matplotlib.figure import Figure

        height, width = compression.shape
        extent = (0, width * spacing[0], height * spacing[1], 0)
        inner = compression[height // 20 : -height // 20 or None]
        low, high = (1.1 * float(x) for x in np.percentile(inner, [1, 99]))
        figure = Figure(figsize=(9.5, 4), layout="constrained")
        panels = (
            ("B-mode (dB)", b_mode(item["pre"][0].cpu()).numpy(), "gray", -50, 0),
            ("compression (%)", compression, "viridis", min(low, 0), max(high, 0)),
            ("quality", quality, "magma", 0, 1),
        )
        for axes, (title, values, colours, least, most) in zip(figure.subplots(1, 3), panels, strict=True):
            shown = axes.imshow(values, cmap=colours, vmin=least, vmax=most, extent=extent)
            axes.set(title=title, xlabel="lateral (mm)")
            figure.colorbar(shown, ax=axes, shrink=0.8)
        figure.suptitle(f"{case}: {row['remark'] or 'frames agree'}", fontsize=10)
        figure.supxlabel("research use only, not a medical device", fontsize=7, color="0.4")
        with replacing(self.folder / f"{case}.png") as temporary:
            figure.savefig(temporary, dpi=110)


def quality_map(pre: torch.Tensor, post: torch.Tensor, displacement: torch.Tensor) -> NDArray:
    """Return (H, W) in [0, 1]: how well the frames match after the displacement; 0 where both ways disagree.

    Args:
        pre, post: RF frames (1, H, W).
        displacement: (4, H, W) displacement forward and backward, lines and samples.
    """
    fetched = warp(post[None], displacement[None, :2])[0, 0].numpy()
    agree = reliable_pixels(displacement[None, :2], displacement[None, 2:], warp_backward=True)[0, 0].numpy()
    return np.clip(local_correlation(pre[0].numpy(), fetched), 0, 1) * agree


def _row(
    item: Mapping[str, Any], millimetres: NDArray, strain: NDArray, quality: NDArray, displacement: torch.Tensor
) -> dict[str, Any]:
    fraction = float(reliable_pixels(displacement[None, :2], displacement[None, 2:], warp_backward=True).mean())
    correlation = float(np.median(quality))
    doubtful = fraction < 0.5 or correlation < _LEAST_CORRELATION
    axial, interval = float(millimetres[1].mean()), float(item["frame_interval_s"])
    return {
        "case": str(item["case"]),
        "mean_strain_percent": round(100 * float(strain.mean()), 4),
        "mean_axial_displacement_mm": round(axial, 5),
        "reliable_fraction": round(fraction, 4),
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
