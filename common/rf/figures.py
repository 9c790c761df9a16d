"""Strain images of several methods on one colour scale, and the strain along a line through an inclusion."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..figure import figure
from .analytic_signal import b_mode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

Extent = tuple[float, float, float, float] | None


def colour_limits(strains: Sequence[NDArray]) -> tuple[float, float]:
    """Return the limits in percent of compression that show most of the believed pixels of all images, and 0.

    Args:
        strains: (H, W), no unit, compression negative; NaN where not believed.
    """
    believed = [strain[np.isfinite(strain)] for strain in strains]
    limits = [np.percentile(-100 * values, [1, 99]) for values in believed if values.size]
    low, high = np.median(limits, axis=0) if limits else (0.0, 1.0)
    return min(0.0, 1.1 * float(low)), max(0.0, 1.1 * float(high))


def show_strain(
    axes: "Axes", background: NDArray, strain: NDArray, limits: tuple[float, float], extent: Extent
) -> "AxesImage":
    """Draw the compression in percent over the B-mode, which is seen where the strain is not believed (NaN).

    Args:
        axes: where to draw.
        background: (H, W) B-mode in decibels.
        strain: (H, W), no unit, compression negative.
        limits: of the colours, in percent.
        extent: left, right, bottom and top in mm; None where the geometry is not known.
    """
    aspect: Literal["equal", "auto"] = "equal" if extent else "auto"
    axes.imshow(background, cmap="gray", vmin=-50, vmax=0, extent=extent, aspect=aspect)
    return axes.imshow(-100 * strain, cmap="viridis", vmin=limits[0], vmax=limits[1], extent=extent, aspect=aspect)


@dataclass(frozen=True)
class ShownPair:
    """One pair for the figures: B-mode (dB), strain by method, and what labels say.

    Attributes:
        case: name.
        b_mode: (H, W) decibels.
        strains: (H, W) by method, no unit, the exact one first if it is known; NaN where not believed.
        notes: what stands under each method's image.
        extent_mm: width and depth in mm, or None where the geometry is not known.
        centre: row and column of the profile.
        edges: samples and lines left out when the colour scale is chosen.
    """

    case: str
    b_mode: NDArray
    strains: Mapping[str, NDArray]
    notes: Mapping[str, str]
    extent_mm: tuple[float, float] | None
    centre: tuple[int, int]
    edges: tuple[int, ...]

    @classmethod
    def of(
        cls,
        item: Mapping[str, Any],
        strains: Mapping[str, Tensor | NDArray],
        figures: Mapping[str, Mapping[str, float]],
        edges: tuple[int, ...],
    ) -> "ShownPair":
        """Return the pair of a batch item with the strain (1, H, W) and the figures of each method."""
        height, width = item["pre"].shape[-2:]
        exact = {"exact": item["strain"]} if "strain" in item else {}
        sample, pitch = float(item["sample_mm"]), float(item["pitch_mm"])
        known = np.isfinite([sample, pitch]).all()
        centre = (height // 2, width // 2)
        place = torch.as_tensor(item.get("inclusion", torch.full((5,), torch.nan)))
        if known and bool(torch.isfinite(place).all()):
            row = float(place[0]) / sample - int(item.get("first_sample", 0))
            centre = (int(np.clip(row, 0, height - 1)), int(np.clip(float(place[1]) / pitch, 0, width - 1)))
        return cls(
            str(item["case"]),
            b_mode(item["pre"][0].cpu()).numpy(),
            {name: _array(strain) for name, strain in {**exact, **strains}.items()},
            {name: _note(values) for name, values in figures.items()},
            (pitch * width, sample * height) if known else None,
            centre,
            edges,
        )

    @property
    def limits(self) -> tuple[float, float]:
        """Colour limits in percent: those of the exact strain or, without it, the median over methods."""
        shown = [self.strains["exact"]] if "exact" in self.strains else list(self.strains.values())
        rows, lines = (min(e, n // 4) for e, n in zip(self.edges, shown[0].shape, strict=True))
        return colour_limits([strain[rows : -rows or None, lines : -lines or None] for strain in shown])


def draw_strains(path: str | os.PathLike[str], pairs: Sequence[ShownPair]) -> None:
    """Write one row a pair: B-mode, then the strain of each method on the colour scale of that pair."""
    columns = 1 + max(len(pair.strains) for pair in pairs)
    with figure(path, 2.2 * columns, 2.9 * len(pairs)) as made:
        for pair, line in zip(pairs, made.subplots(len(pairs), columns, squeeze=False), strict=True):
            extent = (0.0, pair.extent_mm[0], pair.extent_mm[1], 0.0) if pair.extent_mm else None
            line[0].imshow(pair.b_mode, cmap="gray", extent=extent, aspect="equal" if extent else "auto")
            line[0].set(title="B-mode", ylabel=f"{pair.case}\n" + ("depth (mm)" if extent else "sample"))
            for axes, (name, strain) in zip(line[1:], pair.strains.items(), strict=False):
                shown = show_strain(axes, pair.b_mode, strain, pair.limits, extent)
                axes.set(title=name, xlabel=pair.notes.get(name, ""), yticks=[])
            for axes in line[1 + len(pair.strains) :]:
                axes.set_axis_off()
            made.colorbar(shown, ax=list(line), label="compression (%)", shrink=0.85, pad=0.01)


def draw_profile(path: str | os.PathLike[str], pair: ShownPair) -> None:
    """Write the strain of each method along depth through the centre: how sharp an edge is, and how noisy."""
    title = f"{pair.case}: strain along line {pair.centre[1] + 1}"
    with figure(path, 8, 3.2, title) as made:
        axes = made.add_subplot()
        low, high = pair.limits
        for name, strain in pair.strains.items():
            depth = np.arange(len(strain)) * (pair.extent_mm[1] / len(strain) if pair.extent_mm else 1)
            style = {"color": "black", "linewidth": 1.6} if name == "exact" else {"linewidth": 1.1}
            axes.plot(depth, -100 * strain[:, pair.centre[1]], label=name, **style)
        axes.set(xlabel="depth (mm)" if pair.extent_mm else "sample", ylabel="compression (%)")
        axes.set_ylim(low - 0.2 * (high - low), high + 0.2 * (high - low))
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _note(values: Mapping[str, float]) -> str:
    if "cnr" in values:
        return f"CNR {values['cnr']:.1f}, SR {values['sr']:.2f}"
    return f"data {values['data_term']:.3f}, reliable {100 * values['reliable_fraction']:.0f} %"


def _array(strain: Any) -> NDArray:
    return torch.as_tensor(strain)[0].detach().float().cpu().numpy()
