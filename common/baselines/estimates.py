"""Classical displacement in the form of a network's output, forward and backward."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.baselines.glue import GlueSettings, glue_displacement
from common.baselines.ncc import track_by_correlation


@dataclass(frozen=True)
class ClassicalSettings:
    """What NCC and GLUE need to know.

    Attributes:
        search_samples: largest axial displacement.
        search_lines: largest lateral displacement of NCC; 0 tracks along lines, and GLUE adds the lateral part.
        window: samples and lines of an NCC window.
        glue: weights of GLUE. The lateral ones are below the publication's: see :class:`GlueSettings`.
    """

    search_samples: int = 60
    search_lines: int = 0
    window: tuple[int, int] = (81, 3)
    glue: GlueSettings = field(default_factory=lambda: GlueSettings(5.0, 0.05, 1.0, 0.1))


def classical_flows(pre: Tensor, post: Tensor, settings: ClassicalSettings | None = None) -> dict[str, Tensor]:
    """Return {"NCC", "GLUE"}: (4, H, W) forward lateral and axial, then backward, in lines and samples.

    Args:
        pre, post: RF frames (1, H, W), axial first.
        settings: search range, windows and weights.
    """
    chosen = settings or ClassicalSettings()
    frames = [frame[0].double().cpu().numpy() for frame in (pre, post)]
    ways = [_both(first, second, chosen) for first, second in (frames, frames[::-1])]
    return {
        name: torch.from_numpy(np.concatenate([ways[0][name], ways[1][name]]).astype(np.float32)).to(pre.device)
        for name in ("NCC", "GLUE")
    }


def _both(first: NDArray, second: NDArray, settings: ClassicalSettings) -> dict[str, NDArray]:
    track = track_by_correlation(first, second, settings.window, (settings.search_samples, settings.search_lines))
    axial, lateral = glue_displacement(first, second, track, settings.glue)
    return {"NCC": np.stack([track.lateral, track.axial]), "GLUE": np.stack([lateral, axial])}
