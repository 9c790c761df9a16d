"""What surrounds the heart in a short-axis picture, and how coils and off-resonance shade it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

BLOOD, MUSCLE, FAT, LIVER, LUNG = 1.0, 0.30, 0.95, 0.42, 0.05


@dataclass(frozen=True)
class CineSettings:
    """Size of the simulated series: matrix, frames of a heart beat, slices, width of the picture."""

    size: int = 128
    frames: int = 20
    slices: int = 10
    field_of_view_mm: float = 300.0

    def __post_init__(self) -> None:
        """Check that the heart can be drawn and measured.

        Raises:
            ValueError: if a number is too small for a heart of 60 mm to have a volume and a beat.
        """
        if self.size < 32 or self.frames < 4 or self.slices < 1 or not 140.0 <= self.field_of_view_mm <= 500.0:
            raise ValueError(
                f"expected size >= 32, frames >= 4, slices >= 1 and a field of view of 140 to 500 mm, found {self}."
            )


def chest_signal(
    rng: np.random.Generator, centre: np.ndarray, heart_depth_mm: np.ndarray, settings: CineSettings
) -> np.ndarray:
    """Return (S, H, W) signal of everything but the heart: lungs, liver, stomach, chest wall, fat, aorta, spine.

    Args:
        rng: draws the anatomy.
        centre: x, y of the heart in mm from the middle of the picture.
        heart_depth_mm: (S, H, W) how deep a pixel lies inside the heart.
        settings: size of the series.
    """
    shape = (settings.slices, settings.size, settings.size)
    pixel = settings.field_of_view_mm / settings.size
    grid = ((np.arange(settings.size) + 0.5) / settings.size - 0.5) * settings.field_of_view_mm
    x, y = grid[None, None, :] - centre[0], grid[None, :, None] - centre[1]
    texture, fine = smooth_noise(rng, shape, 10), smooth_noise(rng, shape, 30)
    image = LUNG * (1.0 + 0.5 * texture) + 0.30 * np.clip(np.abs(fine) - 1.5, 0.0, 1.0)
    below = _below_diaphragm(rng, x, y, texture, fine, shape[0])
    for depth_mm, signal in below:
        image += (signal - image) * border(depth_mm / pixel)
    # Fat around the heart, of uneven thickness.
    image += (FAT * (0.7 + 0.15 * fine) - image) * border(
        (heart_depth_mm + np.clip(2.0 + 5.0 * texture, 0.3, 9.0)) / pixel
    )
    body = _body_depth_mm(rng, x, y, texture)
    image += (MUSCLE * (1.0 + 0.5 * fine) - image) * border((26.0 + 6.0 * texture - body) / pixel)
    image += (FAT * 1.15 * (1.0 + 0.15 * texture) - image) * border((10.0 + 6.0 * texture - body) / pixel)
    image *= border(body / pixel)
    return np.clip(image, 0.0, None).astype(np.float32)


def _below_diaphragm(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, texture: np.ndarray, fine: np.ndarray, slices: int
) -> list[tuple[np.ndarray, np.ndarray | float]]:
    """Return (depth inside in mm, signal) of liver, stomach, its gas, spine and aorta, in the order they cover."""
    slope = rng.uniform(-0.25, 0.45)
    dome = rng.uniform(34.0, 44.0) + 4.0 * np.linspace(-1.0, 1.0, slices)[:, None, None] + 5.0 * texture
    liver = LIVER * (1.0 + 0.10 * texture) + 0.30 * np.clip(fine - 1.3, 0.0, 1.0)
    abdomen = y - slope * x - dome
    at, wide = rng.uniform(20.0, 50.0), rng.uniform(18.0, 32.0)
    stomach = wide * (1.0 - np.hypot((x - at) / wide, (y - 66.0) / (0.7 * wide))) + 4.0 * texture
    spine = rng.uniform(16.0, 20.0) - np.hypot(x - rng.uniform(66.0, 84.0), y - rng.uniform(58.0, 72.0)) + 2.0 * texture
    aorta = rng.uniform(9.0, 12.0) - np.hypot(x - rng.uniform(46.0, 58.0), y - rng.uniform(38.0, 50.0))
    return [
        (abdomen, liver),
        (np.minimum(abdomen - 3.0, stomach), rng.uniform(0.25, 0.8) * (1.0 + 0.3 * fine)),
        (np.minimum(abdomen - 3.0, stomach - 0.35 * wide), rng.choice([0.04, 0.6])),
        (spine, LIVER * (1.1 + 0.25 * fine)),
        (aorta + 2.0, 0.5 * MUSCLE),
        (aorta, BLOOD * rng.uniform(0.8, 0.95)),
    ]


def _body_depth_mm(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Return how deep each pixel lies below the skin; the heart is nearest to the front, at the upper left."""
    across, down = rng.uniform(125.0, 165.0), rng.uniform(98.0, 125.0)
    angle = rng.uniform(-0.5, 0.5)
    u = np.cos(angle) * (x - 25.0) + np.sin(angle) * (y - 25.0)
    v = np.cos(angle) * (y - 25.0) - np.sin(angle) * (x - 25.0)
    power = rng.uniform(1.8, 3.0)
    relative = ((np.abs(u) / across) ** power + (np.abs(v) / down) ** power) ** (1.0 / power)
    return np.asarray((1.0 - relative) * down + 3.0 * texture)


def border(depth: np.ndarray) -> np.ndarray:
    """Return the fraction of each pixel inside a structure that it lies `depth` pixels deep in."""
    return np.clip(depth + 0.5, 0.0, 1.0)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int, int], cells: int) -> np.ndarray:
    """Return smooth noise of about unit variance with `cells` bumps across, similar in neighbouring slices."""
    coarse = rng.standard_normal((min(shape[0], 4), cells, cells)).astype(np.float32)
    zoom = [wanted / have for wanted, have in zip(shape, coarse.shape, strict=True)]
    noise = ndimage.zoom(coarse, zoom, order=1, mode="nearest", grid_mode=False)
    return np.asarray(noise[: shape[0], : shape[1], : shape[2]] * 1.4)


def sensitivity(rng: np.random.Generator, settings: CineSettings) -> np.ndarray:
    """Return (H, W): surface coils in front, and the dark bands of bSSFP off resonance, mostly beside the heart."""
    grid = (np.arange(settings.size) + 0.5) / settings.size - 0.5
    x, y = grid[None, :], grid[:, None]
    field = 0.75 + 0.6 * np.exp(-((x + rng.uniform(0.1, 0.35)) ** 2 + (y + rng.uniform(0.2, 0.4)) ** 2) / 0.25)
    for _ in range(rng.integers(0, 3)):
        angle = rng.uniform(-0.6, 0.6)
        away = rng.choice([-1.0, 1.0]) * rng.uniform(0.22, 0.42)
        line = x * np.cos(angle) + y * np.sin(angle) - away + 0.3 * y * y
        field = field * (1.0 - rng.uniform(0.4, 0.8) * np.exp(-((line / rng.uniform(0.008, 0.02)) ** 2)))
    if rng.random() < 0.4:
        field = field * (np.hypot(x, y) < 0.5)
    return field.astype(np.float32)
