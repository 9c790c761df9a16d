"""What is simulated: arrays and what they do to frames, and the exact motion of tissue."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

# Scatterers lie on an axial grid this many times finer than the samples, shared linearly between two of its points.
_FINE = 8
_SAMPLING_MHZ = (20.0, 25.0, 31.25, 40.0, 50.0, 62.5, 100.0)
_CENTRE_MHZ = (2.0, 15.0)
_SIXTEEN_BITS = 32767


@dataclass(frozen=True)
class RfAcquisition:
    """Geometry and pulse of a linear array.

    Attributes:
        samples, lines: size of a frame, axial by lateral.
        sampling_mhz, centre_mhz: sampling and centre frequency.
        sound_speed_m_s: speed of sound.
        pitch_mm: distance of lines.
        bandwidth: -6 dB bandwidth of the Gaussian pulse as a fraction of the centre frequency.
        beam_lines: standard deviation of the lateral beam profile in lines.
    """

    samples: int = 2000
    lines: int = 128
    sampling_mhz: float = 40.0
    centre_mhz: float = 5.0
    sound_speed_m_s: float = 1540.0
    pitch_mm: float = 0.3
    bandwidth: float = 0.6
    beam_lines: float = 1.0

    @property
    def sample_mm(self) -> float:
        """Depth of one sample: sound travels there and back."""
        return self.sound_speed_m_s / (2e3 * self.sampling_mhz)

    def grid(self) -> tuple[NDArray, NDArray]:
        """Return axial (samples, 1) and lateral (1, lines) positions in mm, the first line at 0."""
        return self.sample_mm * np.arange(self.samples)[:, None], self.pitch_mm * np.arange(self.lines)[None]

    def image(self, axial_mm: NDArray, lateral_mm: NDArray, amplitudes: NDArray) -> NDArray:
        """Return the RF frame (samples, lines) of point scatterers: pulse along depth, Gaussian beam across."""
        rows, columns = axial_mm / self.sample_mm * _FINE, lateral_mm / self.pitch_mm
        height = _FINE * self.samples
        base, nearest = np.floor(rows).astype(int), np.rint(columns).astype(int)
        reach = int(np.ceil(3 * self.beam_lines))
        fine = np.zeros((height + 1) * self.lines)
        inside = (base >= 0) & (base < height)
        for offset in range(-reach, reach + 1):
            line = nearest + offset
            keep = inside & (line >= 0) & (line < self.lines)
            beam = amplitudes[keep] * np.exp(-(((line[keep] - columns[keep]) / self.beam_lines) ** 2) / 2)
            upper = rows[keep] - base[keep]
            at = line[keep] * (height + 1) + base[keep]
            fine += np.bincount(at, beam * (1 - upper), fine.size) + np.bincount(at + 1, beam * upper, fine.size)
        return self._pulsed(fine.reshape(self.lines, height + 1)[:, :height])

    def _pulsed(self, fine: NDArray) -> NDArray:
        """Return `fine` (lines, _FINE samples) convolved with the pulse and sampled, as (samples, lines)."""
        spectrum = np.fft.rfft(fine, axis=1)[:, : self.samples // 2 + 1]
        frequency = np.fft.rfftfreq(self.samples, 1 / self.sampling_mhz)
        # The Gaussian is at half its height (-6 dB) half a bandwidth from the centre.
        width = self.bandwidth * self.centre_mhz / (2 * np.sqrt(2 * np.log(2)))
        pulse = np.exp(-(((frequency - self.centre_mhz) / width) ** 2) / 2)
        return np.fft.irfft(spectrum * pulse, self.samples, axis=1).T


def draw_acquisition(start: RfAcquisition, random: np.random.Generator) -> RfAcquisition:
    """Return an array with the frame size of `start` and a drawn pulse, pitch and beam.

    Sampling is 20 to 100 MHz, a period 4 to 10 samples of a centre frequency of 2 to 15 MHz, the bandwidth .4 to .9,
    the pitch .08 to .6 mm, and the beam's standard deviation .7 to 4 lines and .15 to .8 mm.
    """
    while True:
        sampling = float(random.choice(_SAMPLING_MHZ))
        centre = sampling / float(random.uniform(4, 10))
        pitch = float(np.exp(random.uniform(np.log(0.08), np.log(0.6))))
        beam = float(np.exp(random.uniform(np.log(0.7), np.log(4))))
        if _CENTRE_MHZ[0] <= centre <= _CENTRE_MHZ[1] and 0.15 <= beam * pitch <= 0.8:
            bandwidth = float(random.uniform(0.4, 0.9))
            return replace(
                start, sampling_mhz=sampling, centre_mhz=centre, pitch_mm=pitch, bandwidth=bandwidth, beam_lines=beam
            )


def spoil_frames(frames: tuple[NDArray, NDArray], random: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Return a pair as a scanner gives it, each of these by chance one time in three.

    A step of depth gain (6 to 20 dB); a shadow of a tenth of the lines behind a depth; a bright reflector that stays in
    place (reverberation); no signal at the end of depth; saturation of the highest .1 to 1 % of the values. In the end
    both are rounded to 16 bits.
    """
    height, width = frames[0].shape
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    gain, still = np.ones((height, width)), np.zeros((height, width))
    chance = random.random(5) < 1 / 3
    depths, line = random.uniform(0.3, 0.9, 4) * height, random.uniform(0, width)
    if chance[0]:
        gain = gain * np.where(rows > depths[0], 10 ** (-random.uniform(6, 20) / 20), 1)
    if chance[1]:
        gain = gain * np.where((rows > depths[1]) & (np.abs(columns - line) < width / 20), 0.05, 1)
    if chance[2]:
        place = (rows - depths[2]) / 10
        still = 10 * frames[0].std() * np.cos(2 * np.pi * place) * np.exp(-(place**2))
    if chance[3]:
        gain = gain * (rows < (0.9 + 0.1 * depths[3] / height) * height)
    spoilt = [frame * gain + still for frame in frames]
    largest = max(float(np.abs(frame).max()) for frame in spoilt)
    limit = float(np.quantile(np.abs(spoilt[0]), 1 - random.uniform(0.001, 0.01))) if chance[4] else largest
    first, second = (
        np.rint(np.clip(frame / limit, -1, 1) * _SIXTEEN_BITS).astype(np.float32) / _SIXTEEN_BITS for frame in spoilt
    )
    return first, second


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
