"""Cines of any ejection fraction made of a real end-diastole and end-systole: their texture, an exact label."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from .chest import CineSettings, sensitivity
from .heart import LEFT_VENTRICLE, SimulatedCine, contraction
from .pair_motion import exponential, pixel_places, sample, velocity_between
from .phase_pairs import PhasePair

MOST_EXTRAPOLATED = 1.5
"""How much further than the source's heart a made one may contract."""
_MOST = 2.0 * MOST_EXTRAPOLATED  # of the velocity: what it does to the cavity's middle is less
_BISECTIONS = 14
_WALL_MM = 12.0  # from the cavity's border outwards; beyond it other organs move by their own factor


class OutOfReachError(ValueError):
    """An ejection fraction that the motion of a source, with a weak part of the wall perhaps, cannot give."""


@dataclass(frozen=True)
class PairHeart:
    """A source that was registered: velocities in pixels of the source, as `velocity_between` gives them."""

    pair: PhasePair
    velocity: Tensor

    @classmethod
    def of(cls, pair: PhasePair) -> PairHeart:
        """Register the two phases of a pair."""
        return cls(pair, velocity_between(pair.images, pair.masks))


def reaches(pair: PhasePair, ef_percent: float) -> bool:
    """Return whether a heart of this ejection fraction can be made of that of `pair` without inventing motion."""
    return bool(np.log(1.0 - ef_percent / 100.0) >= MOST_EXTRAPOLATED * np.log(1.0 - pair.ef / 100.0))


@dataclass(frozen=True)
class _Look:
    """How one patient differs from the source.

    Attributes:
        places: (S, 2, h, w) row and column in the source of each pixel of the new patient at end-diastole.
        fraction: (S, 1, H, W), of the factor by which the left ventricle makes the source's motion.
        rest: (S, 1, H, W), how much of the source's motion each place makes whatever the left ventricle does.
        shift: (2, 1, 1), by how many of the source's pixels the whole heart is moved in systole.
        curve: (T,) how far the heart is contracted.
        systolic_frame: where the curve is 1.
    """

    places: Tensor
    fraction: Tensor
    rest: Tensor
    shift: Tensor
    curve: NDArray
    systolic_frame: int


def simulate_from_pair(
    rng: np.random.Generator,
    heart: PairHeart,
    ef_percent: float,
    settings: CineSettings,
    weak_walls: bool = True,
    nearest: bool = False,
) -> SimulatedCine:
    """Return a series whose cavity mask loses `ef_percent` of its voxels (to about one in a hundred) in systole.

    The heart takes a size that patients of this ejection fraction have: the whole anatomy is scaled as between a child
    and an adult, the cavity by itself as in dilatation. Its motion is the source's times a factor, found by bisection
    on the warped masks; in one of three patients a part of the wall moves less, not at all or outwards. Frames between
    the phases are blends of the two warped images. Grey values, shading, noise and each slice's breath-hold are drawn.

    Args:
        rng: draws the patient.
        heart: the registered source.
        ef_percent: ejection fraction to make.
        settings: matrix, field of view and frames. The slices are those of the source.
        weak_walls: whether a part of the wall may move less.
        nearest: take the highest EF that the source's motion gives where it does not reach `ef_percent`.

    Raises:
        OutOfReachError: if the factor that this takes is more than the source's motion allows.
    """
    look = _draw_look(rng, heart, ef_percent, settings, weak_walls)
    factor = _factor(heart, look, ef_percent)
    if factor is None and not nearest:
        raise OutOfReachError(f"{heart.pair.case}: expected an EF that its motion reaches, found {ef_percent:.1f} %.")
    factor = _MOST if factor is None else factor
    image, cavity = _render(heart, look, factor)
    diastole, systole = cavity[:, 0], cavity[:, look.systolic_frame]
    pixel = settings.field_of_view_mm / settings.size
    return SimulatedCine(
        frames=_scanned(rng, image, cavity, look, settings),
        diastole=np.where(diastole, LEFT_VENTRICLE, 0).astype(np.uint8),
        systole=np.where(systole, LEFT_VENTRICLE, 0).astype(np.uint8),
        systolic_frame=look.systolic_frame,
        spacing_mm=(pixel, pixel, heart.pair.spacing_mm[2]),
        interval_ms=60000.0 / rng.uniform(50.0, 105.0) / settings.frames,
    )


def _draw_look(
    rng: np.random.Generator, heart: PairHeart, ef_percent: float, settings: CineSettings, weak_walls: bool
) -> _Look:
    frames = settings.frames
    systolic_frame = int(np.clip(round(rng.uniform(0.3, 0.45) * frames), 1, frames - 2))
    curve = contraction(frames, systolic_frame, rng.uniform(0.5, 0.85), rng.uniform(0.3, 0.55), rng.uniform(0.65, 0.85))
    places = _places(rng, heart.pair, ef_percent, settings)
    shift = torch.from_numpy(rng.normal(0.0, 2.0, 2) / heart.pair.spacing_mm[:2]).float()[:, None, None]
    return _Look(places, *_motion(rng, heart.pair, weak_walls), shift, curve, systolic_frame)


def _places(rng: np.random.Generator, pair: PhasePair, ef_percent: float, settings: CineSettings) -> Tensor:
    """Return (S, 2, h, w): the source's pixel for each of the new patient's, scaled, dilated, breath-held, moved."""
    spacing = torch.tensor(pair.spacing_mm[:2])[:, None, None]
    centres = _centres(pair.masks[0]) * torch.tensor(pair.spacing_mm[:2])
    radius = float(np.sqrt(pair.masks[0].sum(axis=(1, 2)).max() * float(spacing.prod()) / np.pi))
    weakness = float(np.clip((60.0 - ef_percent) / 35.0, -0.3, 1.3))
    # As in the drawn hearts: 46 mm wide at an EF of 60 %, 58 mm at 25 %, with an overlap like that of patients.
    wanted = max(16.0, 23.0 + 5.5 * weakness + rng.normal(0.0, 3.5))
    scale = float(np.clip(wanted / radius, 0.8, 1.5)) * rng.uniform(0.93, 1.07)
    dilatation = float(np.clip(wanted / (radius * scale), 0.8, 1.35))
    pixel = settings.field_of_view_mm / settings.size
    middle = centres.mean(0) + torch.from_numpy(rng.normal(0.0, 15.0, 2)).float()
    breath = torch.from_numpy(rng.normal(0.0, 1.5, (len(centres), 2))).float()
    grid = (pixel_places((settings.size, settings.size)) - 0.5 * (settings.size - 1)) * pixel
    places = grid[None] / scale + (middle + breath)[:, :, None, None]
    away = places - centres[:, :, None, None]
    distance = away.norm(dim=1, keepdim=True) / (radius * dilatation)
    # Inside the cavity everything is stretched alike, from 2.2 radii on nothing is.
    fraction = ((2.2 - distance) / 1.2).clamp(0.0, 1.0)
    shrink = 1.0 + (1.0 / dilatation - 1.0) * (3.0 - 2.0 * fraction) * fraction**2
    return (centres[:, :, None, None] + away * shrink) / spacing


def _motion(rng: np.random.Generator, pair: PhasePair, weak_walls: bool) -> tuple[Tensor, Tensor]:
    """Return `fraction` and `rest` of :class:`_Look`; a weak part of the wall has less.

    Right ventricle, vessels and diaphragm move as well in patients whose left ventricle fails as in others.
    """
    spacing = torch.tensor(pair.spacing_mm[:2])[:, None, None]
    away = (pixel_places(pair.masks.shape[2:]) - _centres(pair.masks[0])[:, :, None, None]) * spacing
    fraction = torch.ones(len(away), 1, *away.shape[2:])
    if weak_walls and rng.random() < 1 / 3:
        angle, width, depth = rng.uniform(-np.pi, np.pi), rng.uniform(0.4, 0.9), rng.uniform(0.5, 1.3)
        turn = torch.remainder(torch.atan2(away[:, :1], away[:, 1:]) - angle + np.pi, 2 * np.pi) - np.pi
        along = (torch.arange(len(away)) / len(away) - rng.uniform(0.0, 1.0)) / rng.choice([0.3, 3.0])
        weak = torch.exp(-0.5 * (turn / width) ** 2) * torch.exp(-0.5 * along**2)[:, None, None, None]
        fraction -= depth * weak
    radius = np.sqrt(pair.masks[0].sum(axis=(1, 2)) * pair.spacing_mm[0] * pair.spacing_mm[1] / np.pi)
    outside = away.norm(dim=1, keepdim=True) - torch.from_numpy(radius).float()[:, None, None, None]
    beyond = ((outside - _WALL_MM) / 15.0).clamp(0.0, 1.0)
    return fraction * (1.0 - beyond), rng.uniform(0.3, 2.0) * beyond


def _centres(masks: NDArray[np.bool_]) -> Tensor:
    """Return (S, 2), the middle of the mask of each slice in pixels."""
    return torch.tensor([[float(axis.mean()) for axis in np.nonzero(mask)] for mask in masks])


def _factor(heart: PairHeart, look: _Look, ef_percent: float) -> float | None:
    """Return the factor of the motion that gives the ejection fraction, None if the largest one does not."""
    low, high = 0.0, _MOST
    before = _cavity(heart, look, torch.zeros_like(look.rest)).sum()
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        left = _cavity(heart, look, middle * look.fraction + look.rest).sum() / before
        low, high = (middle, high) if 100.0 * (1.0 - left) < ef_percent else (low, middle)
    return None if high == _MOST else 0.5 * (low + high)


def _cavity(heart: PairHeart, look: _Look, amount: Tensor) -> NDArray[np.bool_]:
    """Return (S, h, w), the cavity where each place has made `amount` (S, 1, H, W) of the source's motion."""
    masks = torch.from_numpy(heart.pair.masks[0]).float()[:, None]
    return np.asarray((sample(masks, _come_from(heart, look, -amount)) > 0.5)[:, 0])


def _come_from(heart: PairHeart, look: _Look, amount: Tensor) -> Tensor:
    return look.places + sample(exponential(amount * heart.velocity), look.places)


def _render(heart: PairHeart, look: _Look, factor: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return image and cavity (S, T, h, w): the two phases, each led to the frame's moment, and blended."""
    diastole, systole = (torch.from_numpy(image)[:, None] for image in heart.pair.images)
    mask = torch.from_numpy(heart.pair.masks[0]).float()[:, None]
    images, cavities = [], []
    for contracted in look.curve.tolist():
        amount = contracted * (factor * look.fraction + look.rest)
        moved = replace(look, places=look.places - contracted * look.shift)
        from_diastole = _come_from(heart, moved, -amount)
        early = sample(diastole, from_diastole)
        late = sample(systole, _come_from(heart, moved, 1.0 - amount))
        weight = sample(amount.clamp(0.0, 1.0), moved.places)
        images.append((early + weight * (late - early))[:, 0].numpy())
        cavities.append((sample(mask, from_diastole) > 0.5)[:, 0].numpy())
    return np.stack(images, 1), np.stack(cavities, 1)


def _inflow(rng: np.random.Generator, frames: int, look: _Look) -> NDArray[np.float32]:
    """Return (S, T, h, w), how much brighter blood outside the left ventricle is as fresh spins come and go."""
    beyond = sample(look.rest / look.rest.max().clamp(min=1e-6), look.places)[:, 0].numpy()
    phase = 2 * np.pi * np.arange(frames) / frames
    beat = np.cos(phase - rng.uniform(0, 2 * np.pi)) + 0.5 * np.cos(2 * phase - rng.uniform(0, 2 * np.pi))
    patches = gaussian_filter(rng.normal(size=beyond.shape), (0, *[0.08 * side for side in beyond.shape[1:]]))
    patches *= rng.uniform(0.0, 0.2) / max(float(patches.std()), 1e-9)
    return np.asarray((patches * beyond)[:, None] * beat[:, None, None], np.float32).clip(-0.6, 0.6)


def _scanned(
    rng: np.random.Generator, image: NDArray, cavity: NDArray[np.bool_], look: _Look, settings: CineSettings
) -> NDArray[np.int16]:
    """Return the frames with blood that brightens and darkens, another gamma and shading, and Rician noise."""
    highest = max(float(np.percentile(image[:, 0], 99.5)), 1e-6)
    signal = np.clip(image / highest, 0.0, None) ** rng.uniform(0.8, 1.25)
    rush = np.sin(np.pi * np.clip(np.arange(image.shape[1]) / look.systolic_frame, 0.0, 1.0))
    signal *= 1.0 - 0.12 * rng.random() * rush[None, :, None, None] * cavity
    signal *= 1.0 + _inflow(rng, image.shape[1], look)
    field = sensitivity(rng, settings)
    signal *= 1.0 + rng.uniform(0.0, 0.7) * (field / field.mean() - 1.0)
    sigma = rng.uniform(0.005, 0.03)
    real = signal + rng.normal(0.0, sigma, signal.shape)
    magnitude = np.hypot(real, rng.normal(0.0, sigma, signal.shape))
    return np.rint(magnitude * rng.uniform(250.0, 800.0)).astype(np.int16)
