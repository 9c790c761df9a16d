"""Displacement by NCC and GLUE in the form of a network's output, and a network's displacement refined by GLUE."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from torch import Tensor

from .glue import PUBLISHED, GlueSettings, glue_displacement
from .levelling import level_amplitude, measure_speckle
from .ncc import track_by_correlation
from .periods import continuous_displacement
from .quality import LEAST_QUALITY, match_map

# Search of NCC where none is set: a compression of 5 % or more from the probe on, half of it across.
_LEAST_SEARCH, _DEEPEST, _WIDEST = 60, 0.06, 0.0125
# Fraction of matching pixels from which on a network's displacement is left as it is.
_WHOLE = 0.99
# By how much NCC's displacement must match better where the network's matches too, by chance or nearly.
_BETTER = 0.2


@dataclass(frozen=True)
class ClassicalSettings:
    """What NCC and GLUE need to know.

    Attributes:
        search_samples: largest axial displacement of NCC; None takes 6 % of the depth, at least 60 samples.
        search_lines: largest lateral displacement of NCC; None takes 1.25 % of the width and a line.
        glue: smoothness of GLUE.
    """

    search_samples: int | None = None
    search_lines: int | None = None
    glue: GlueSettings = field(default_factory=GlueSettings)

    def reach(self, size: Sequence[int]) -> tuple[int, int]:
        """Return the largest displacement in samples and lines for frames of `size` (H, W)."""
        samples, lines = self.search_samples, self.search_lines
        return (
            max(_LEAST_SEARCH, int(_DEEPEST * size[0])) if samples is None else samples,
            int(np.ceil(_WIDEST * size[1])) + 1 if lines is None else lines,
        )


def ncc_displacement(pre: Tensor, post: Tensor, settings: ClassicalSettings | None = None) -> Tensor:
    """Return (4, H, W) by NCC: forward lateral (lines) and axial (samples), then backward.

    The frames are levelled first, so that a reflector does not outweigh the speckle of its window. The period is chosen
    by all windows together (:func:`continuous_displacement`); the second frame is then read where that leads, so that
    strain does not blur the peak, and NCC looks for it within three quarters of a period.

    Args:
        pre, post: RF frames (1, H, W), axial first.
        settings: search range.
    """
    chosen = settings or ClassicalSettings()
    speckle = measure_speckle(_array(pre))
    height, width = pre.shape[-2:]
    window = (min(speckle.window[0], height), min(speckle.window[1], width))
    near = int(np.ceil(0.75 * speckle.period_samples))

    def one_way(first: NDArray, second: NDArray, start: NDArray) -> NDArray:
        fixed, moving = (level_amplitude(frame, speckle) for frame in (first, second))
        guide = continuous_displacement(fixed, moving, speckle, chosen.reach((height, width)))
        fetched = map_coordinates(moving, np.indices(fixed.shape, dtype=np.float32) + guide[::-1], order=3)
        guide[1] += track_by_correlation(fixed, fetched, window, (near, 0)).axial
        return guide

    return _both_ways(one_way, pre, post, torch.zeros(4))


def refined_displacement(pre: Tensor, post: Tensor, start: Tensor, settings: GlueSettings | None = None) -> Tensor:
    """Return (4, H, W) by GLUE, forward and backward, that begins with the displacement `start` of that form.

    Args:
        pre, post: RF frames (1, H, W), axial first.
        start: (4, H, W) of a network or of :func:`ncc_displacement`, on the grid of the frames.
        settings: smoothness.
    """

    def one_way(first: NDArray, second: NDArray, begin: NDArray) -> NDArray:
        return glue_displacement(first, second, begin, settings)

    return _both_ways(one_way, pre, post, start)


def classical_displacements(pre: Tensor, post: Tensor, settings: ClassicalSettings | None = None) -> dict[str, Tensor]:
    """Return (4, H, W) of "NCC", and of "GLUE" and "GLUE, published" that begin with it."""
    chosen = settings or ClassicalSettings()
    track = ncc_displacement(pre, post, chosen)
    return {
        "NCC": track,
        "GLUE, published": refined_displacement(pre, post, track, PUBLISHED),
        "GLUE": refined_displacement(pre, post, track, chosen.glue),
    }


def completed_displacement(
    pre: Tensor, post: Tensor, network: Tensor, settings: ClassicalSettings | None = None
) -> tuple[Tensor, float]:
    """Return a network's displacement (4, H, W) with NCC's in the gaps, and the fraction of pixels that are gaps.

    A gap is where the frames do not match after the network's displacement and match better after NCC's, or match far
    better after NCC's: the network met an array, a depth or a motion unlike those it was trained on.

    Args:
        pre, post: RF frames (1, H, W), axial first.
        network: (4, H, W), on the grid of the frames.
        settings: search range of NCC.
    """
    first, second = _array(pre), _array(post)
    own = network.detach().float().cpu().numpy()
    ways = ((first, second, slice(0, 2)), (second, first, slice(2, 4)))
    matches = [match_map(a, b, own[way]) for a, b, way in ways]
    if min(float((match >= LEAST_QUALITY).mean()) for match in matches) > _WHOLE:
        return network, 0.0
    ncc = ncc_displacement(pre, post, settings).cpu().numpy()
    gaps = [
        match_map(a, b, ncc[way]) > match + _BETTER * (match >= LEAST_QUALITY)
        for match, (a, b, way) in zip(matches, ways, strict=True)
    ]
    completed = np.where(np.repeat(gaps, 2, axis=0), ncc, own)
    return torch.from_numpy(completed).to(network.device), float(np.mean(gaps))


class RefineDisplacementd(MapTransform):
    """Turn a network's displacement under `keys` into the answer: refined by GLUE, as it is, or without the network.

    Adds `network`, the network's own displacement; `method`, what the answer was made by ("network and GLUE",
    "network", "NCC and GLUE" or "NCC"); and `ncc_fraction`, in how many pixels GLUE began with NCC in place of the
    network (:func:`completed_displacement`).

    Args:
        keys: displacement (4, H, W) on the grid of the frames `pre` and `post`, forward and backward.
        method: "network" or "ncc", where the displacement comes from.
        refine: "glue" or "none".
        settings: search range of NCC and smoothness of GLUE.

    Raises:
        ValueError: for other values.
    """

    def __init__(
        self,
        keys: KeysCollection,
        method: str = "network",
        refine: str | None = "glue",
        settings: ClassicalSettings | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        # A command line turns the word None into the value.
        self.method, self.refine = str(method).lower(), str(refine).lower()
        if self.method not in ("network", "ncc"):
            raise ValueError(f"method: expected 'network' or 'ncc', found {method!r}")
        if self.refine not in ("glue", "none"):
            raise ValueError(f"refine: expected 'glue' or 'none', found {refine!r}")
        self.settings = settings or ClassicalSettings()

    @property
    def name(self) -> str:
        """What the answer is made by."""
        start = "network" if self.method == "network" else "NCC"
        return f"{start} and GLUE" if self.refine == "glue" else start

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Refine; the input mapping is left as it was."""
        d = dict(data)
        pre, post = d["pre"], d["post"]
        for key in self.key_iterator(d):
            answer, fraction = d[key].float(), 0.0
            d["network"], d["method"] = answer, self.name
            if self.method == "ncc":
                answer, fraction = ncc_displacement(pre, post, self.settings), 1.0
            elif self.refine == "glue":
                answer, fraction = completed_displacement(pre, post, answer, self.settings)
            if self.refine == "glue":
                answer = refined_displacement(pre, post, answer, self.settings.glue)
            d[key], d["ncc_fraction"] = answer, fraction
        return d


def _both_ways(one_way: Callable[..., NDArray], pre: Tensor, post: Tensor, start: Tensor) -> Tensor:
    """Return what `one_way` gives for first, second and start of both directions, which fraction two threads."""
    first, second = _array(pre), _array(post)
    starts = start.detach().float().cpu().numpy().reshape(2, 2, *start.shape[1:])
    with ThreadPoolExecutor(2) as threads:
        ways = threads.map(one_way, (first, second), (second, first), starts)
        found = np.concatenate(list(ways))
    return torch.from_numpy(found.astype(np.float32)).to(start.device if start.dim() > 1 else pre.device)


def _array(frame: Tensor) -> NDArray:
    return frame[0].detach().float().cpu().numpy()
