"""Classical displacement in the form of a network's output, forward and backward."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .glue import GlueSettings, glue_displacement
from .ncc import track_by_correlation

_GLUE = {"GLUE": GlueSettings(), "GLUE, weak lateral": GlueSettings(5.0, 0.05, 1.0, 0.1)}


@dataclass(frozen=True)
class ClassicalSettings:
    """What NCC and GLUE need to know.

    Attributes:
        search_samples: largest axial displacement.
        search_lines: largest lateral displacement of NCC; 0 tracks along lines, and GLUE adds the lateral part.
        window: samples and lines of an NCC window.
        glue: settings by the name of the row: "GLUE" with the publication's weights, and "GLUE, weak lateral" with
            those that gave the best contrast on simulated pairs of a line each .3 mm (see :class:`GlueSettings`).
    """

    search_samples: int = 60
    search_lines: int = 0
    window: tuple[int, int] = (81, 3)
    glue: Mapping[str, GlueSettings] = field(default_factory=lambda: dict(_GLUE))


def classical_flows(pre: Tensor, post: Tensor, settings: ClassicalSettings | None = None) -> dict[str, Tensor]:
    """Return (4, H, W) of "NCC" and each GLUE: forward lateral (lines) and axial (samples), then backward.

    Args:
        pre, post: RF frames (1, H, W), axial first.
        settings: search range, windows and weights.
    """
    chosen = settings or ClassicalSettings()
    frames = [frame[0].double().cpu().numpy() for frame in (pre, post)]
    ways = [_both(first, second, chosen) for first, second in (frames, frames[::-1])]
    return {
        name: torch.from_numpy(np.concatenate([ways[0][name], ways[1][name]]).astype(np.float32)).to(pre.device)
        for name in ways[0]
    }


def _both(first: NDArray, second: NDArray, settings: ClassicalSettings) -> dict[str, NDArray]:
    track = track_by_correlation(first, second, settings.window, (settings.search_samples, settings.search_lines))
    flows = {"NCC": np.stack([track.lateral, track.axial])}
    for name, weights in settings.glue.items():
        axial, lateral = glue_displacement(first, second, track, weights)
        flows[name] = np.stack([lateral, axial])
    return flows
