"""Arrays drawn at random, and what they do to frames beside motion: gain steps, shadows, reflectors, saturation."""

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
