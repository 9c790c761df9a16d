"""Smooth random displacement fields with exact derivatives, for training on more than inclusions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SmoothMotion:
    """A uniform axial strain whose value is modulated by a few random plane waves; lateral motion by others.

    Attributes:
        strain: mean axial strain as a fraction; positive values compress.
        waves: (K, 4), each row the axial and lateral wave number (rad/mm), the phase (rad) and the share of `strain` by
            which the wave changes the axial strain at most.
        poisson: lateral expansion over axial compression.
    """

    strain: float
    waves: NDArray
    poisson: float = 0.5

    @classmethod
    def draw(cls, strain: float, shortest_mm: float, random: np.random.Generator, waves: int = 6) -> "SmoothMotion":
        """Return a field with `waves` random waves of at least `shortest_mm` wavelength along the axis."""
        axial = 2 * np.pi / (shortest_mm * random.uniform(1, 5, waves))
        lateral = axial * random.uniform(-1, 1, waves)
        phase, share = random.uniform(0, 2 * np.pi, waves), random.uniform(0, 1.4 / waves, waves)
        return cls(strain, np.stack([axial, lateral, phase, share], axis=1), float(random.uniform(0.2, 0.6)))

    def displacement(self, axial_mm: NDArray, lateral_mm: NDArray) -> tuple[NDArray, NDArray]:
        """Return the axial and the lateral displacement (mm) of the tissue that rests at the given positions."""
        axial = np.array(axial_mm, dtype=float)
        for across, along, phase, share in self._rows():
            axial = axial + share / across * np.sin(across * axial_mm + along * lateral_mm + phase)
        return -self.strain * axial, self.strain * self.poisson * np.asarray(lateral_mm)

    def axial_strain(self, axial_mm: NDArray, lateral_mm: NDArray) -> NDArray:
        """Return the axial derivative of the axial displacement."""
        modulation = np.ones(np.broadcast(axial_mm, lateral_mm).shape)
        for across, along, phase, share in self._rows():
            modulation = modulation + share * np.cos(across * axial_mm + along * lateral_mm + phase)
        return -self.strain * modulation

    def _rows(self) -> list[tuple[float, float, float, float]]:
        return [(float(row[0]), float(row[1]), float(row[2]), float(row[3])) for row in self.waves]
