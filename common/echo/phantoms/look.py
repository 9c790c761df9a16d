"""What a scanner and the patient's chest make of an ultrasound picture."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Look:
    """Compression and artefacts of a picture; the defaults have none.

    Attributes:
        dynamic_range_db: between black and white.
        gamma: power of the grey levels after compression.
        tgc_db: how much brighter the lower edge is than the upper one.
        blur: width of the point spread function over the usual.
        shadows: (angle in the sector, half width, loss in dB) of each rib, of lung at an edge, of poor contact.
        haze_db, haze_mm: clutter of the near field over the brightest interface, and how deep it reaches.
        septum_loss_db, lateral_loss_db: what is lost of a wall where it runs along the beam.
    """

    dynamic_range_db: float = 42.0
    gamma: float = 1.0
    tgc_db: float = 0.0
    blur: float = 1.0
    shadows: tuple[tuple[float, float, float], ...] = ()
    haze_db: float = -math.inf
    haze_mm: float = 30.0
    septum_loss_db: float = 0.0
    lateral_loss_db: float = 0.0

    def wall_share(self, angle: NDArray, radius: NDArray) -> NDArray | float:
        """Return the share of the echo that is seen of walls, at angles from the apex (lateral positive)."""
        if not (self.septum_loss_db or self.lateral_loss_db):
            return 1.0
        loss = np.where(angle > 0, self.lateral_loss_db, self.septum_loss_db) * np.sin(angle) ** 2
        return np.where(radius < 1.6, 10 ** (-loss / 20), 1.0).astype(np.float32)

    def haze(self, x: NDArray, depth: NDArray) -> NDArray | float:
        """Return the amplitude of clutter, which stands still."""
        return 10 ** (self.haze_db / 20) * np.exp(-np.hypot(x, depth) / self.haze_mm)

    def shadow(self, x: NDArray, depth: NDArray) -> NDArray | float:
        """Return the share of the echo that gets through."""
        angle, share = np.arctan2(x, depth), 1.0
        for middle, width, loss in self.shadows:
            share = share * 10 ** (-loss / 20 * np.exp(-(((angle - middle) / width) ** 4)))
        return share

    def grey(self, echo_db: NDArray, relative_depth: NDArray) -> NDArray:
        """Return grey levels from 0 to 1."""
        level = 1 + (echo_db + self.tgc_db * (relative_depth - 0.5)) / self.dynamic_range_db
        return np.clip(level, 0, 1) ** self.gamma


def draw_look(generator: np.random.Generator, half_angle_rad: float) -> Look:
    """Return a picture's look as scanners, settings and chests vary it."""

    def uniform(low: float, high: float) -> float:
        return float(generator.uniform(low, high))

    shadows = tuple(
        (uniform(-1.0, 1.0) * half_angle_rad, uniform(0.03, 0.12), uniform(5.0, 25.0))
        for _ in range(int(generator.choice(4, p=(0.4, 0.3, 0.2, 0.1))))
    )
    if generator.random() < 0.3:  # lung over an edge of the sector
        shadows += ((float(generator.choice([-1.0, 1.0])) * half_angle_rad, uniform(0.1, 0.3), uniform(8.0, 30.0)),)
    return Look(
        dynamic_range_db=uniform(34.0, 65.0),
        gamma=uniform(0.7, 1.5),
        tgc_db=uniform(-10.0, 10.0),
        blur=uniform(0.8, 2.2),
        shadows=shadows,
        haze_db=uniform(-50.0, -8.0),
        haze_mm=uniform(15.0, 45.0),
        septum_loss_db=uniform(0.0, 6.0),
        lateral_loss_db=uniform(0.0, 14.0),
    )
