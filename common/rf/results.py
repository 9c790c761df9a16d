"""Results of an inference for each pair: displacement, strain and quality as images, a figure, one row."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..data.failures import FailureLog
from ..data.integrity import check_compressed
from ..errors import UnusableFileError
from ..evaluation.case_results import CaseResults
from ..evaluation.familiarity import FamiliarityCheck
from ..figure import figure
from ..files import replacing
from .analytic_signal import b_mode
from .figures import colour_limits, show_strain
from .load import spacing_mm
from .quality import TrustedStrain, strain_remark, trusted_strain

_COLUMNS = [
    "case",
    "method",
    "mean_strain_percent",
    "mean_axial_displacement_mm",
    "reliable_fraction",
    "median_correlation",
    "mean_axial_velocity_mm_s",
    "network_mean_strain_percent",
    "network_reliable_fraction",
    "ncc_fraction",
    "remark",
]


class ElastographyResults(CaseResults):
    """Writes `CASE_displacement`, `CASE_strain`, `CASE_quality`, `CASE.json` and `CASE.png` of each pair.

    They are of the answer, which `method` names (:class:`common.rf.RefineDisplacementd`); where that is not the
    network's own displacement, `CASE_network_displacement` and `CASE_network_strain` are written too. Displacement has
    two components (lateral, axial) in mm; strain has no unit, compression is negative, and it is NaN where the frames
    do not agree (readers that are built on ITK show a NaN of a NIfTI file as 0); quality is described at
    :func:`common.rf.quality_map`. Means are over reliable pixels. Geometry: the first axis is lateral, the second
    axial, in mm.

    Args:
        failures: where a pair goes whose results cannot be written.
        window: samples of the strain fit.
        image_format: suffix of the images: ".nii.gz", ".nii" or ".mha".
        weights: which weights made the result.
        familiarity: see :class:`common.evaluation.CaseResults`.
    """

    def __init__(
        self,
        failures: FailureLog,
        window: int = 43,
        image_format: str = ".nii.gz",
        weights: Any = "",
        familiarity: FamiliarityCheck | None = None,
    ) -> None:
        if image_format not in (".nii.gz", ".nii", ".mha"):
            raise ValueError(f"image_format: expected '.nii.gz', '.nii' or '.mha', found {image_format!r}")
        super().__init__(failures, _COLUMNS, weights, familiarity)
        self.window, self.suffix = window, image_format

    def write_case(self, case: str, parts: list[Any]) -> dict[str, Any]:
        """Write maps and figure of one pair and return its row."""
        ((item, result),) = parts
        spacing = spacing_mm(item)
        pre, post, method = item["pre"].cpu(), item["post"].cpu(), str(result.get("method", "network"))
        answer = trusted_strain(pre, post, result["pred"], self.window)
        images = {
            "_displacement": _millimetres(result["pred"], spacing),
            "_strain": answer.strain,
            "_quality": answer.quality,
        }
        strains = {method: answer}
        if method != "network" and "network" in result:
            strains["network"] = trusted_strain(pre, post, result["network"], self.window)
            images["_network_displacement"] = _millimetres(result["network"], spacing)
            images["_network_strain"] = strains["network"].strain
        origin = (0.0, float(item["first_sample"]) * spacing[1])
        for ending, values in images.items():
            _write_image(self.file(case, ending + self.suffix), values, spacing, origin)
        row = {
            "method": method,
            **_figures(answer, images["_displacement"], float(item["frame_interval_s"])),
            **(_network_figures(strains["network"], result) if "network" in strains else {}),
            "remark": strain_remark(pre, post, answer),
        }
        self.doubt(case, [row["remark"]])
        self.write_json(case, row)
        self._draw(case, b_mode(pre[0]).numpy(), strains, spacing)
        return row

    def _draw(
        self,
        case: str,
        background: NDArray,
        strains: Mapping[str, TrustedStrain],
        spacing: tuple[float, float],
    ) -> None:
        height, width = background.shape
        extent = (0.0, width * spacing[0], height * spacing[1], 0.0)
        columns = 2 + len(strains)
        inches = float(np.clip(4.5 * extent[1] / extent[2], 1.0, 4.0)) + 1.2
        limits = colour_limits([next(iter(strains.values())).strain])
        title = self.caption(case, case)
        with figure(self.file(case, ".png"), inches * columns, 5.2, title) as made:
            axes = made.subplots(1, columns, squeeze=False)[0]
            shown = axes[0].imshow(background, cmap="gray", vmin=-50, vmax=0, extent=extent)
            made.colorbar(shown, ax=axes[0], shrink=0.8, label="dB")
            axes[0].set(title="B-mode", ylabel="depth (mm)")
            for panel, (name, trusted) in zip(axes[1:-1], strains.items(), strict=True):
                shown = show_strain(panel, background, trusted.strain, limits, extent)
                panel.set(title=name)
            made.colorbar(shown, ax=axes[1:-1].tolist(), shrink=0.8, label="compression (%)")
            shown = axes[-1].imshow(next(iter(strains.values())).quality, cmap="magma", vmin=0, vmax=1, extent=extent)
            made.colorbar(shown, ax=axes[-1], shrink=0.8, label="quality")
            for panel in axes:
                panel.set(xlabel="lateral (mm)")


def _figures(answer: TrustedStrain, millimetres: NDArray, interval_s: float) -> dict[str, Any]:
    axial = _mean(millimetres[1], answer.reliable)
    return {
        "mean_strain_percent": _rounded(100 * _mean(answer.strain, answer.reliable), 4),
        "mean_axial_displacement_mm": _rounded(axial, 5),
        "reliable_fraction": round(float(answer.reliable.mean()), 4),
        "median_correlation": round(float(np.median(answer.quality)), 4),
        "mean_axial_velocity_mm_s": _rounded(axial / interval_s, 4),
    }


def _network_figures(network: TrustedStrain, result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "network_mean_strain_percent": _rounded(100 * _mean(network.strain, network.reliable), 4),
        "network_reliable_fraction": round(float(network.reliable.mean()), 4),
        "ncc_fraction": round(float(result.get("ncc_fraction", 0.0)), 4),
    }


def _mean(values: NDArray, where: NDArray) -> float:
    return float(values[where].mean()) if where.any() else float("nan")


def _rounded(value: float, digits: int) -> float | str:
    """Return a number for a table; an empty cell where there is none."""
    return round(value, digits) if np.isfinite(value) else ""


def _millimetres(displacement: Tensor, spacing: tuple[float, float]) -> NDArray:
    return displacement[:2].detach().float().cpu().numpy() * np.array(spacing)[:, None, None]


def _write_image(path: Path, values: NDArray, spacing: tuple[float, float], origin: tuple[float, float]) -> None:
    import SimpleITK

    vector = values.ndim == 3
    image = SimpleITK.GetImageFromArray(np.moveaxis(values, 0, -1) if vector else values, isVector=vector)
    image = SimpleITK.Cast(image, SimpleITK.sitkVectorFloat32 if vector else SimpleITK.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    with replacing(path) as temporary:
        try:
            SimpleITK.WriteImage(image, str(temporary))
            check_compressed(temporary)
            written = SimpleITK.ReadImage(str(temporary))
        except (RuntimeError, UnusableFileError) as error:
            raise OSError(f"{path}: expected to write a whole file, found less on disk; is it full?") from error
        stored, wanted = (np.nan_to_num(SimpleITK.GetArrayViewFromImage(one)) for one in (written, image))
        if not np.array_equal(stored, wanted):  # SimpleITK does not report every NIfTI that it cannot write whole
            raise OSError(f"{path}: expected to write a whole file, found less on disk; is it full?")
