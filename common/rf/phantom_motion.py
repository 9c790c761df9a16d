"""Exact motion of simulated tissue: smooth random fields, and a circular elastic inclusion under compression."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SmoothMotion:
    """A uniform axial strain whose value is modulated by a few random plane waves; lateral motion by others.

    Attributes:
        strain: mean axial strain as a fraction; positive values compress.
        waves: (K, 4), each row the axial and lateral wave number (rad/mm), the phase (rad) and the fraction of `strain`
            by which the wave changes the axial strain at most.
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
        phase, fraction = random.uniform(0, 2 * np.pi, waves), random.uniform(0, 1.4 / waves, waves)
        return cls(strain, np.stack([axial, lateral, phase, fraction], axis=1), float(random.uniform(0.2, 0.6)))

    def displacement(self, axial_mm: NDArray, lateral_mm: NDArray) -> tuple[NDArray, NDArray]:
        """Return the axial and the lateral displacement (mm) of the tissue that rests at the given positions."""
        axial = np.array(axial_mm, dtype=float)
        for across, along, phase, fraction in self._rows():
            axial = axial + fraction / across * np.sin(across * axial_mm + along * lateral_mm + phase)
        return -self.strain * axial, self.strain * self.poisson * np.asarray(lateral_mm)

    def axial_strain(self, axial_mm: NDArray, lateral_mm: NDArray) -> NDArray:
        """Return the axial derivative of the axial displacement."""
        modulation = np.ones(np.broadcast(axial_mm, lateral_mm).shape)
        for across, along, phase, fraction in self._rows():
            modulation = modulation + fraction * np.cos(across * axial_mm + along * lateral_mm + phase)
        return -self.strain * modulation

    def _rows(self) -> list[tuple[float, float, float, float]]:
        return [(float(row[0]), float(row[1]), float(row[2]), float(row[3])) for row in self.waves]


@dataclass(frozen=True)
class CircularInclusion:
    """A bonded circular inclusion in an unbounded matrix, compressed along the axial direction.

    Attributes:
        axial_mm, lateral_mm: centre.
        radius_mm: radius, positive.
        modulus_ratio: shear modulus of the inclusion over that of the matrix (G), positive; above 1 is stiffer.
        strain: remote axial strain as a fraction; positive values compress (the axial displacement falls with depth).
        poisson_matrix, poisson_inclusion: Poisson's ratios, over 0 and at most .5; both .5 give a uniform inner strain
            with a ratio of inner to remote strain of 2 / (1 + G).

    References:
        Muskhelishvili, Some basic problems of the mathematical theory of elasticity, 1953, chapter 9 (complex
        potentials of a circular inclusion); Goodier, Trans. ASME 55, 1933.
    """

    axial_mm: float
    lateral_mm: float
    radius_mm: float
    modulus_ratio: float
    strain: float
    poisson_matrix: float = 0.5
    poisson_inclusion: float = 0.5

    def __post_init__(self) -> None:
        if self.radius_mm <= 0 or self.modulus_ratio <= 0:
            raise ValueError(
                f"radius_mm, modulus_ratio: expected positive values, found {self.radius_mm}, {self.modulus_ratio}"
            )

    @property
    def strain_ratio(self) -> float:
        """Inner over remote axial strain at the centre; 2 / (1 + G) if both media are incompressible."""
        return float(self.axial_strain(np.array(self.axial_mm), np.array(self.lateral_mm)) / -self.strain)

    def displacement(self, axial_mm: NDArray, lateral_mm: NDArray) -> tuple[NDArray, NDArray]:
        """Return the axial and the lateral displacement (mm) of the tissue that rests at the given positions."""
        zeta, inside = self._local(axial_mm, lateral_mm)
        k1, k2, g, (a, b, c, p, q) = self._constants()
        far = np.where(inside, 1, zeta)
        potential, slope = far + a / far, 1 - a / far**2
        other = -2 * (far + b / far + c / far**3)
        outer = (k1 * potential - far * np.conj(slope) - np.conj(other)) / 2
        inner = ((k2 - 1) * p * zeta + 2 * q * np.conj(zeta)) / (2 * g)
        moved = self._load * self.radius_mm * np.where(inside, inner, outer)
        return moved.real, moved.imag

    def axial_strain(self, axial_mm: NDArray, lateral_mm: NDArray) -> NDArray:
        """Return the axial derivative of the axial displacement (no unit; negative where tissue is compressed)."""
        zeta, inside = self._local(axial_mm, lateral_mm)
        k1, k2, g, (a, b, c, p, q) = self._constants()
        far = np.where(inside, 1, zeta)
        slope, curvature = 1 - a / far**2, 2 * a / far**3
        other_slope = -2 * (1 - b / far**2 - 3 * c / far**4)
        outer = (k1 * slope - np.conj(slope) - far * np.conj(curvature) - np.conj(other_slope)) / 2
        inner = ((k2 - 1) * p + 2 * q) / (2 * g)
        return self._load * np.where(inside, inner, outer.real)

    def contains(self, axial_mm: NDArray, lateral_mm: NDArray, scale: float = 1.0) -> NDArray:
        """Return where a position lies within `scale` radii of the centre."""
        return np.hypot(axial_mm - self.axial_mm, lateral_mm - self.lateral_mm) <= scale * self.radius_mm

    @property
    def _load(self) -> float:
        return -2 * self.strain / (4 - 4 * self.poisson_matrix)

    def _local(self, axial_mm: NDArray, lateral_mm: NDArray) -> tuple[NDArray, NDArray]:
        # The load axis is the real one.
        zeta = (np.asarray(axial_mm) - self.axial_mm + 1j * (np.asarray(lateral_mm) - self.lateral_mm)) / self.radius_mm
        return zeta, np.abs(zeta) < 1

    def _constants(self) -> tuple[float, float, float, tuple[float, float, float, float, float]]:
        k1, k2, g = 3 - 4 * self.poisson_matrix, 3 - 4 * self.poisson_inclusion, self.modulus_ratio
        a = 2 * (1 - g) / (1 + g * k1)
        b = ((k2 - 1) - g * (k1 - 1)) / (2 * g + k2 - 1)
        return k1, k2, g, (a, b, -a / 2, 1 - b, 1 - a / 2)
