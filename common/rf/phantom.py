"""Radio-frequency ultrasound of speckle before and after a known motion, written as MAT files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..files import replacing
from .phantom_scene import CircularInclusion, RfAcquisition, SmoothMotion, draw_acquisition, spoil_frames

# Scatterers per sample and line: over 10 in a resolution cell of a pulse length by a beam width.
_DENSITY = 0.4


class Motion(Protocol):
    """What moves the tissue: displacement (mm) and axial strain at positions before the motion (mm)."""

    def displacement(self, axial_mm: NDArray, lateral_mm: NDArray) -> tuple[NDArray, NDArray]: ...  # noqa: D102

    def axial_strain(self, axial_mm: NDArray, lateral_mm: NDArray) -> NDArray: ...  # noqa: D102


@dataclass(frozen=True)
class Disturbance:
    """What makes two frames differ by more than motion.

    Attributes:
        noise_db: RF power over the power of added white noise.
        decorrelation: fraction of each scatterer's amplitude that is new in the second frame.
    """

    noise_db: float = 30.0
    decorrelation: float = 0.05


def rf_pair(
    acquisition: RfAcquisition, motion: Motion, random: np.random.Generator, disturbance: Disturbance | None = None
) -> tuple[NDArray, NDArray]:
    """Return the RF frames (samples, lines), float32, before and after `motion` moved the same speckle."""
    disturbance = disturbance or Disturbance()
    axial, lateral, amplitudes = _scatterers(acquisition, random)
    axial_step, lateral_step = motion.displacement(axial, lateral)
    new = disturbance.decorrelation
    others = np.sqrt(1 - new**2) * amplitudes + new * random.standard_normal(len(amplitudes)) * amplitudes.std()
    first = acquisition.image(axial, lateral, amplitudes)
    second = acquisition.image(axial + axial_step, lateral + lateral_step, others)
    noise = first.std() * 10 ** (-disturbance.noise_db / 20)
    return tuple(  # type: ignore[return-value]
        (frame + noise * random.standard_normal(frame.shape)).astype(np.float32) for frame in (first, second)
    )


def _scatterers(acquisition: RfAcquisition, random: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
    """Return positions (mm) and amplitudes over the frame and a margin from which tissue may move in."""
    margin_samples, margin_lines = 0.06 * acquisition.samples + 20, 6
    span = (acquisition.samples + 2 * margin_samples) * (acquisition.lines + 2 * margin_lines)
    count = int(_DENSITY * span)
    axial = random.uniform(-margin_samples, acquisition.samples + margin_samples, count) * acquisition.sample_mm
    lateral = random.uniform(-margin_lines, acquisition.lines - 1 + margin_lines, count) * acquisition.pitch_mm
    return axial, lateral, random.standard_normal(count) * _echogenicity(axial, lateral, acquisition, random)


def _echogenicity(axial: NDArray, lateral: NDArray, acquisition: RfAcquisition, random: np.random.Generator) -> NDArray:
    """Return a smooth random brightness: attenuation with depth (to 12 dB) and two weak waves."""
    depth = axial / (acquisition.samples * acquisition.sample_mm)
    decibel = -random.uniform(0, 12) * depth
    for _ in range(2):
        waves = random.uniform(-1, 1, 2) * 2 * np.pi / 10
        decibel = decibel + random.uniform(0, 4) * np.sin(waves[0] * axial + waves[1] * lateral + random.uniform(0, 6))
    return 10 ** (decibel / 20)


@dataclass(frozen=True)
class Shifted:
    """`motion` and a rigid displacement on top (mm): the hand that moves the probe."""

    motion: Motion
    axial_mm: float
    lateral_mm: float

    def displacement(self, axial_mm: NDArray, lateral_mm: NDArray) -> tuple[NDArray, NDArray]:
        """Return the sum of both displacements."""
        axial, lateral = self.motion.displacement(axial_mm, lateral_mm)
        return axial + self.axial_mm, lateral + self.lateral_mm

    def axial_strain(self, axial_mm: NDArray, lateral_mm: NDArray) -> NDArray:
        """Return the strain of `motion`."""
        return self.motion.axial_strain(axial_mm, lateral_mm)


def simulate_rf_ultrasound(
    directory: str | os.PathLike[str],
    cases: int = 8,
    seed: int = 0,
    content: str = "mixed",
    strain_percent: tuple[float, float] = (0.5, 3.0),
    shift_samples: float = 4.0,
    noise_db: tuple[float, float] = (20.0, 40.0),
    decorrelation: tuple[float, float] = (0.0, 0.1),
    arrays: str = "one",
    **acquisition: float,
) -> list[Path]:
    """Return the MAT files written to `directory`: RF pairs with their exact displacement and strain.

    Each file holds the frames `Im1` and `Im2` (axial first) and `fs_hz`, `fc_hz`, `sound_speed_m_s`, `pitch_m`, as
    laboratories store them, and the answer: `axial_mm`, `lateral_mm` (displacement at the pixels of `Im1`),
    `axial_strain`, and for inclusions `inclusion` = [axial mm, lateral mm, radius mm, modulus ratio, strain].

    Args:
        directory: folder, made if missing.
        cases: number of pairs.
        seed: pairs are equal for equal settings and seeds, and pair n does not depend on how many follow.
        content: "inclusion", "smooth" or "mixed" (in turn).
        strain_percent: range of the remote axial compression, drawn evenly in its logarithm; of random sign if
            `content` is "smooth" or "mixed", compression only if it is "inclusion".
        shift_samples: standard deviation of a rigid axial shift; the lateral one has a standard deviation of .5 lines.
        noise_db: range of the signal-to-noise ratio.
        decorrelation: range of the fraction of each scatterer's amplitude that is new in the second frame.
        arrays: "one", or "mixed": each pair is of an array of its own (:func:`draw_acquisition`) and disturbed as by a
            scanner (:func:`spoil_frames`).
        acquisition: settings of :class:`RfAcquisition`.

    Raises:
        ValueError: for other values of `content` and `arrays`.
    """
    if content not in ("inclusion", "smooth", "mixed"):
        raise ValueError(f"content: expected 'inclusion', 'smooth' or 'mixed', found {content!r}")
    if arrays not in ("one", "mixed"):
        raise ValueError(f"arrays: expected 'one' or 'mixed', found {arrays!r}")
    wanted = RfAcquisition(**acquisition)  # type: ignore[arg-type]
    paths = []
    for case in tqdm(range(cases), desc="simulating RF pairs", unit="pair"):
        random = np.random.default_rng([seed, case])
        array = draw_acquisition(wanted, random) if arrays == "mixed" else wanted
        kind = content if content != "mixed" else ("inclusion", "smooth")[case % 2]
        strain = float(np.exp(random.uniform(*np.log(strain_percent)))) / 100
        strain *= float(random.choice([-1, 1])) if content != "inclusion" else 1
        motion = _drawn_motion(kind, strain, array, random)
        placed = _placed(motion, array, shift_samples, random)
        disturbance = Disturbance(float(random.uniform(*noise_db)), float(random.uniform(*decorrelation)))
        paths.append(Path(directory) / f"{kind}_{case:04d}.mat")
        frames = rf_pair(array, placed, random, disturbance)
        _write(paths[-1], array, motion, placed, spoil_frames(frames, random) if arrays == "mixed" else frames)
    return paths


def _drawn_motion(kind: str, strain: float, array: RfAcquisition, random: np.random.Generator) -> Motion:
    depth, width = array.samples * array.sample_mm, array.lines * array.pitch_mm
    if kind == "smooth":
        return SmoothMotion.draw(strain, depth / 4, random)
    radius = random.uniform(0.15, 0.22) * min(depth, width)
    ratio = float(np.exp(random.uniform(np.log(1.5), np.log(5))))
    axial, lateral = random.uniform(0.4, 0.6, 2) * (depth, width)
    return CircularInclusion(axial, lateral, radius, ratio, strain)


def _placed(motion: Motion, array: RfAcquisition, shift_samples: float, random: np.random.Generator) -> Motion:
    """Return `motion` with the tissue at the middle of the probe's face at rest, but for a random rigid shift."""
    axial, lateral = motion.displacement(np.zeros(()), np.full((), array.pitch_mm * (array.lines - 1) / 2))
    shift = shift_samples * array.sample_mm * random.standard_normal()
    return Shifted(motion, shift - float(axial), 0.5 * array.pitch_mm * random.standard_normal() - float(lateral))


def _write(path: Path, array: RfAcquisition, motion: Motion, placed: Motion, frames: tuple[NDArray, NDArray]) -> None:
    from scipy.io import savemat

    axial, lateral = placed.displacement(*array.grid())
    content: dict[str, Any] = {
        "Im1": frames[0],
        "Im2": frames[1],
        "fs_hz": array.sampling_mhz * 1e6,
        "fc_hz": array.centre_mhz * 1e6,
        "sound_speed_m_s": array.sound_speed_m_s,
        "pitch_m": array.pitch_mm * 1e-3,
        "axial_mm": axial.astype(np.float32),
        "lateral_mm": np.broadcast_to(lateral, axial.shape).astype(np.float32),
        "axial_strain": placed.axial_strain(*array.grid()).astype(np.float32),
    }
    if isinstance(motion, CircularInclusion):
        content["inclusion"] = np.array(
            [motion.axial_mm, motion.lateral_mm, motion.radius_mm, motion.modulus_ratio, motion.strain]
        )
    with replacing(path) as temporary:
        savemat(temporary, content)
