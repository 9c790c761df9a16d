"""Neonatal brains in ADC with hypoxic-ischemic lesions and their Z-scores, in the layout of BONBID-HIE."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from ..files import replacing
from .phantom_term import NeonatalCase, term_case

Volume = NDArray[np.float64]

# Mean and standard deviation over healthy term neonates, in 1e-6 mm2/s: white matter, cortex, deep grey matter, CSF.
TISSUE_MEAN = np.array([1500.0, 1180.0, 1080.0, 2300.0])
TISSUE_STD = np.array([140.0, 120.0, 95.0, 320.0])
# Half axes of the brain in mm, right-left, front-back, bottom-top, of a term neonate.
BRAIN_HALF_AXES_MM = np.array([43.0, 54.0, 38.0])
# Noise of the ADC in normative standard deviations for a voxel of 1 mm3; it falls with the square root of the volume.
NOISE_STD_MM3 = 1.6
# Fraction of the brain in percent, from which a lesion of each class is drawn; cases go through the classes in turn.
CLASS_PERCENT = ((0.25, 0.9), (1.3, 4.5), (6.0, 15.0), (0.25, 0.9), (1.3, 4.5), (0.0, 0.0), (0.25, 0.9), (1.3, 4.5))


def simulate_neonatal_adc(
    directory: str | os.PathLike[str],
    cases: int = 20,
    seed: int = 0,
    size: Sequence[int] = (128, 128, 24),
    spacing_mm: Sequence[float] = (0.94, 0.94, 3.6),
    tilt_degrees: float = 8.0,
    progress: bool = True,
    style: str = "plain",
) -> Path:
    """Write simulated cases in the layout of BONBID-HIE (`1ADC_ss`, `2Z_ADC`, `3LABEL`) and return the folder.

    Args:
        directory: folder to write to; made if missing.
        cases: number of cases, positive; classes of lesion size alternate, one case in eight has no lesion.
        seed: seed of the data set; case n is the same whatever the number of cases.
        size: voxels along right-left, front-back, bottom-top.
        spacing_mm: their size.
        tilt_degrees: standard deviation of the head's tilt, written as the volumes' direction.
        progress: whether to show a bar.
        style: "plain" brains of four tissues, or those of "term" neonates: folds, nuclei, brain stem and cerebellum,
            lesions in the patterns of the disease, an imperfect atlas, skull stripping and acquisition.

    Raises:
        ValueError: for another style, if there is no case to write, or no volume that holds the brain.
    """
    if style not in STYLES:
        raise ValueError(f"style: expected {' or '.join(STYLES)}, found {style!r}")
    if any(np.shape(given) != (3,) for given in (size, spacing_mm)):
        raise ValueError(
            f"size, spacing_mm: expected three numbers each, such as [128,128,24], found {size} and {spacing_mm}"
        )
    extent = np.asarray(size) * np.asarray(spacing_mm)
    if cases < 1 or not (extent >= 2 * BRAIN_HALF_AXES_MM).all():
        raise ValueError(
            f"expected a case or more and a volume over {2 * BRAIN_HALF_AXES_MM} mm, found {cases} and {extent} mm"
        )
    folder = Path(directory)
    for index in tqdm(range(cases), "simulating neonatal ADC maps", disable=not progress):
        random = np.random.default_rng([seed, index])
        case = STYLES[style](random, size, spacing_mm, CLASS_PERCENT[index % len(CLASS_PERCENT)])
        name = f"MGHNICU_{index + 1:03d}-VISIT_01"
        grid = _tilted_grid(random, spacing_mm, extent, tilt_degrees)
        _write(np.rint(case.adc).astype(np.int16), folder / "1ADC_ss" / f"{name}-ADC_ss.mha", grid)
        zmap_name = f"Zmap_{name}-ADC_smooth2mm_clipped10.mha"
        _write(case.zmap.astype(np.float32), folder / "2Z_ADC" / zmap_name, grid)
        _write(case.lesion.astype(np.uint8), folder / "3LABEL" / f"{name}_lesion.mha", grid)
    return folder


def neonatal_case(
    random: np.random.Generator,
    size: Sequence[int],
    spacing_mm: Sequence[float],
    lesion_percent: tuple[float, float],
) -> NeonatalCase:
    """Return one simulated case.

    Each tissue's ADC varies about its normative mean: with the subject, from region to region, and by noise; a lesion
    lowers it by some standard deviations, more in its core. Z = (ADC - mean) / std of the normative map, which sits on
    the brain with a small error of registration, then 2 mm smoothing and clipping at 10, as in BONBID-HIE.

    Args:
        random: source of all chance.
        size, spacing_mm: as in :func:`simulate_neonatal_adc`.
        lesion_percent: range of the lesion's fraction of the brain; (0, 0) for none.
    """
    spacing = np.asarray(spacing_mm, dtype=float)
    position = _positions_mm(size, spacing) + random.normal(0, 1.5, 3)[:, None, None, None]
    warp_mm = 2.0 * np.stack([_smooth_noise(random, size, 12.0, spacing) for _ in range(3)])
    scale = random.normal(1.0, 0.03)
    own = _tissues((position + warp_mm) / scale)
    misplaced_mm = 0.9 * np.stack([_smooth_noise(random, size, 15.0, spacing) for _ in range(3)])
    normative = _tissues((position + warp_mm + misplaced_mm) / scale)
    brain = own.sum(axis=0) > 0.5
    mean, std = (np.tensordot(values, _normalised(own), 1) for values in (TISSUE_MEAN, TISSUE_STD))
    lesion = _lesion(random, brain, own, spacing, lesion_percent)
    deviation = (
        random.normal(0.0, 0.2)
        + 0.35 * _smooth_noise(random, size, 6.0, spacing)
        + NOISE_STD_MM3 / np.sqrt(spacing.prod()) * random.standard_normal(tuple(size))
        - _depth(random, lesion, spacing)
    )
    adc = np.where(brain, np.clip(mean + std * deviation, 150, 3500), 0)
    known_mean, known_std = (np.tensordot(v, _normalised(normative), 1) for v in (TISSUE_MEAN, TISSUE_STD))
    zmap = _smooth_within((adc - known_mean) / known_std, brain, 2.0 / 2.355 / spacing)
    return NeonatalCase(adc, np.where(brain, np.clip(zmap, -10, 10), 0), lesion)


STYLES = {"plain": neonatal_case, "term": term_case}


def _tissues(position_mm: Volume) -> Volume:
    """Return fractions (4, X, Y, Z) of white matter, cortex, deep grey matter and CSF; all zero outside the brain."""
    x, y, z = position_mm
    radius = np.sqrt(((position_mm / BRAIN_HALF_AXES_MM[:, None, None, None]) ** 2).sum(axis=0))
    angle = np.arctan2(y, np.abs(x) + 1e-6)
    folds = 0.035 * np.sin(9 * angle + 0.12 * z) * np.cos(0.16 * z)
    brain = _soft(1 - radius, 0.02)
    cortex = _soft(radius - 0.86 + folds, 0.015)
    deep = _soft(1 - _ellipsoid(np.abs(x) - 14, y + 2, z + 2, (9, 15, 11)), 0.08)
    ventricle = _soft(1 - _ellipsoid(np.abs(x) - 6 - 0.004 * y**2, y + 1, z - 9, (3.5, 22, 7)), 0.1)
    fissure = _soft(1.6 - np.abs(x), 0.5) * _soft(radius - 0.62, 0.05)
    csf = np.maximum(ventricle, fissure)
    grey = (1 - csf) * np.maximum(cortex, 0)
    deep = (1 - csf) * (1 - cortex) * deep
    return brain * np.stack([1 - csf - grey - deep, grey, deep, csf])


def _lesion(
    random: np.random.Generator, brain: NDArray[np.bool_], own: Volume, spacing: Volume, percent: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return a lesion of one to five ragged foci in the tissue (not in CSF) that fills the drawn part of the brain."""
    tissue = brain & (own[3] < 0.3)
    if percent[1] == 0:
        return np.zeros_like(brain)
    voxels = round(float(np.exp(random.uniform(*np.log(percent)))) / 100 * brain.sum())
    candidates = np.argwhere(tissue)
    foci = candidates[random.integers(0, len(candidates), random.integers(1, 6))] * spacing
    radius_mm = (3 * voxels * spacing.prod() / len(foci) / (4 * np.pi)) ** (1 / 3)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in brain.shape), indexing="ij"), axis=-1) * spacing
    nearest = np.full(brain.shape, np.inf)
    for focus in foci:
        nearest = np.minimum(nearest, np.linalg.norm(index - focus, axis=-1) / random.uniform(0.7, 1.4))
    ragged = nearest + 0.35 * radius_mm * _smooth_noise(random, brain.shape, 4.0, spacing)
    ragged[~tissue] = np.inf
    lesion = np.zeros(brain.size, bool)
    lesion[np.argpartition(ragged, voxels, axis=None)[: max(voxels, 1)]] = True
    return lesion.reshape(brain.shape)


def _depth(random: np.random.Generator, lesion: NDArray[np.bool_], spacing: Volume) -> Volume:
    """Return by how many standard deviations the lesion lowers the ADC: soft at its edge, uneven inside."""
    soft = gaussian_filter(lesion.astype(float), 1.2 / spacing)
    uneven = 1 + 0.3 * _smooth_noise(random, lesion.shape, 5.0, spacing)
    return random.uniform(2.2, 3.4) * soft * np.clip(uneven, 0.3, None)


def _positions_mm(size: Sequence[int], spacing: Volume) -> Volume:
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(size, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def _smooth_noise(random: np.random.Generator, size: Sequence[int], width_mm: float, spacing: Volume) -> Volume:
    """Return noise of standard deviation 1, correlated over `width_mm`."""
    noise = gaussian_filter(random.standard_normal(tuple(size)), width_mm / 2 / spacing, mode="wrap")
    return noise / noise.std()


def _smooth_within(values: Volume, brain: NDArray[np.bool_], sigma: Volume) -> Volume:
    """Return `values` smoothed over the voxels of the brain only."""
    weight = gaussian_filter(brain.astype(float), sigma)
    return gaussian_filter(np.where(brain, values, 0.0), sigma) / np.maximum(weight, 1e-3)


def _normalised(fractions: Volume) -> Volume:
    total = fractions.sum(axis=0)
    return np.where(total > 1e-6, fractions / np.maximum(total, 1e-6), np.array([1.0, 0, 0, 0])[:, None, None, None])


def _ellipsoid(x: Volume, y: Volume, z: Volume, half_axes_mm: tuple[float, float, float]) -> Volume:
    a, b, c = half_axes_mm
    return np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)


def _soft(signed: Volume, width: float) -> Volume:
    return 1 / (1 + np.exp(-np.clip(signed / width, -40, 40)))


def _tilted_grid(
    random: np.random.Generator, spacing_mm: Sequence[float], extent_mm: Volume, tilt_degrees: float
) -> sitk.Image:
    """Return a one-voxel image with the case's spacing, origin and direction."""
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*(float(angle) for angle in np.radians(random.normal(0, tilt_degrees, 3))))
    grid = sitk.Image(1, 1, 1, sitk.sitkUInt8)
    grid.SetSpacing([float(mm) for mm in spacing_mm])
    grid.SetDirection(turn.GetMatrix())
    grid.SetOrigin([float(-mm / 2) for mm in extent_mm])
    return grid


def _write(voxels: NDArray, path: Path, grid: sitk.Image) -> None:
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(grid.GetSpacing())
    image.SetOrigin(grid.GetOrigin())
    image.SetDirection(grid.GetDirection())
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(f"{path}: expected to write a whole file, found less on disk; is it full?") from error
