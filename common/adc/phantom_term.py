"""Brains of term neonates in ADC: folded cortex, deep nuclei, brain stem; injuries as patients have them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, shift

Volume = NDArray[np.float64]
Mask = NDArray[np.bool_]

TISSUES = ("white", "cortex", "deep", "csf", "compact", "stem", "cerebellum")
# Of each tissue over healthy term neonates, in 1e-6 mm2/s; compact white matter is callosum and internal capsule.
MEAN = np.array([1390.0, 1130.0, 1040.0, 2300.0, 1120.0, 960.0, 1120.0])
STD = np.array([150.0, 130.0, 95.0, 350.0, 110.0, 95.0, 120.0])
PATTERNS = ("basal ganglia and thalami", "watershed", "near total", "foci", "foci")
NOISE_STD_MM3 = 1.3  # as in phantom.py
CORTEX_MM, SULCUS_MM = 2.3, 14.0


class NeonatalCase(NamedTuple):
    """ADC in 1e-6 mm2/s, its Z-score and the lesion, each (X, Y, Z); zero outside the mask of the brain."""

    adc: Volume
    zmap: Volume
    lesion: Mask


def term_case(
    random: np.random.Generator, size: Sequence[int], spacing_mm: Sequence[float], lesion_percent: tuple[float, float]
) -> NeonatalCase:
    """Return one simulated case.

    Z compares it with an atlas in which each fold is blurred by the differences between children: its mean and its
    standard deviation are those of the mixed tissues there. The mask leaves cortex out in places and takes rests of
    the scalp in elsewhere, slices move, and the acquisition matrix rings at CSF (Gibbs).

    Args:
        random: source of all chance.
        size, spacing_mm: voxels along right-left, front-back, bottom-top, and their size.
        lesion_percent: range of the lesion's fraction of the brain; (0, 0) for none.
    """
    spacing = np.asarray(spacing_mm, dtype=float)
    space = _Space(random, tuple(size), spacing)
    position = _positions(random, space)
    labels, head = _anatomy(space, position)
    fractions = np.stack([gaussian_filter((labels == k).astype(float), 0.45 / spacing) for k in range(len(TISSUES))])
    fractions /= np.maximum(fractions.sum(axis=0), 1e-6)
    tissue = (labels >= 0) & (labels != TISSUES.index("csf"))
    lesion = _lesion(space, position, labels, tissue, lesion_percent)
    adc = _adc(space, position, fractions, lesion)
    adc = _scanned(space, np.where(head, adc, 0.0))
    mask = _stripped(space, labels >= 0)
    mean, std = _atlas(space, fractions, labels >= 0)
    adc = np.where(mask, np.clip(adc, 150, 3500), 0.0)
    zmap = np.where(mask, (adc - mean) / std, 0.0)
    weight = np.maximum(gaussian_filter(mask.astype(float), 2.0 / 2.355 / spacing), 1e-3)
    zmap = gaussian_filter(zmap, 2.0 / 2.355 / spacing) / weight
    return NeonatalCase(adc, np.where(mask, np.clip(zmap, -10, 10), 0.0), lesion & mask)


class _Space:
    """A grid and its noise."""

    def __init__(self, random: np.random.Generator, size: tuple[int, ...], spacing: Volume) -> None:
        self.random, self.size, self.spacing = random, size, spacing

    def smooth(self, width_mm: float) -> Volume:
        """Return noise of standard deviation 1, correlated over `width_mm`."""
        noise = gaussian_filter(self.random.standard_normal(self.size), width_mm / 2 / self.spacing, mode="wrap")
        return np.asarray(noise / noise.std())

    def uniform(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))


def _positions(random: np.random.Generator, space: _Space) -> Volume:
    """Return (3, X, Y, Z) mm to the left, back and top in the standard brain of each voxel."""
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(space.size, space.spacing, strict=True)]
    position = np.stack(np.meshgrid(*axes, indexing="ij")) + random.normal(0, 1.5, 3)[:, None, None, None]
    warp = np.stack([0.8 * space.smooth(14.0) + 1.5 * space.smooth(40.0) for _ in range(3)])
    return np.asarray((position + warp) / random.normal(0.98, 0.035, 3).clip(0.9, 1.06)[:, None, None, None])


def _anatomy(space: _Space, position: Volume) -> tuple[NDArray[np.int8], Mask]:
    """Return the tissue of each voxel (-1 outside) and the whole head, scalp included."""
    x, y, z = position
    side = np.abs(x)
    narrow = x / (1 + 0.12 * np.clip(y / 54, -1, 1))  # the forehead
    radius = _ellipsoid(narrow, y, z - 1, (42, 53, 36))
    base = (z > -17) | (_ellipsoid(side - 25, y + 8, z + 16, (15, 26, 13)) < 1)
    cerebrum = (radius < 1) & base
    cerebellum = (_ellipsoid(side - 12, y - 30, z + 23, (21, 16, 13)) < 1) & ~(cerebrum & (z > -14))
    stem = (_ellipsoid(x, y - 13 - 0.15 * (z + 20), 0 * z, (9.5, 8.5, 1)) < 1) & (z < -8) & (z > -37)
    depth = (1 - radius) * 43
    sulci = (np.abs(space.smooth(9.0)) < 0.04 + 0.05 * np.clip(1 - depth / SULCUS_MM, 0, 1)) & (depth < SULCUS_MM)
    fissure = (side < 1.0) & ((z > 12) | (np.abs(y) > 27)) & (depth < 30)
    sylvian = (np.abs(y + 6 + 0.5 * (side - 34)) < 1.3) & (side > 27) & (np.abs(z + 2) < 12)
    sylvian |= (np.abs(side - 28) < 1.0) & (np.abs(y + 1) < 12) & (np.abs(z + 1) < 9)
    horns = _ellipsoid(side - 5 - 0.004 * (y + 2) ** 2, y + 2, z - 8, (3.2, 27, 5.5)) < 1
    third = (side < 1.4) & (np.abs(y - 3) < 11) & (np.abs(z + 3) < 8)
    fourth = _ellipsoid(x, y - 21, z + 22, (5, 4, 6)) < 1
    rim = (radius < 1.02 + np.clip(0.005 + 0.02 * space.smooth(25.0), 0, 0.08)) & (z > -15)
    around = _ellipsoid(side - 11, y - 29, z + 23, (23, 18, 15)) < 1
    csf = (sulci & cerebrum) | fissure & cerebrum | sylvian & cerebrum | horns | third | fourth
    brain = cerebrum | cerebellum | stem
    csf |= (rim | around & (z < -14)) & ~brain
    labels = np.full(space.size, -1, np.int8)
    labels[csf] = TISSUES.index("csf")
    labels[cerebrum & ~csf] = TISSUES.index("white")
    surface = distance_transform_edt(~(csf & ~horns & ~third) & (brain | csf), sampling=space.spacing)
    thickness = CORTEX_MM * (1 + 0.15 * space.smooth(10.0))
    labels[cerebrum & ~csf & (surface < thickness) & (depth < SULCUS_MM + 6) & (radius > 0.45)] = TISSUES.index(
        "cortex"
    )
    thalamus = _ellipsoid(side - 9, y - 7, z - 1, (7.5, 11, 8.5)) < 1
    lentiform = _ellipsoid(side - 20 + 0.12 * y, y + 3, z, (6, 13, 8)) < 1
    caudate = _ellipsoid(side - 9.5, y + 18, z - 4, (3.6, 8, 7)) < 1
    labels[(thalamus | lentiform | caudate) & ~csf & cerebrum] = TISSUES.index("deep")
    callosum = (side < 9) & (np.abs(z - 14 + 0.006 * y**2) < 1.8) & (np.abs(y + 2) < 27)
    capsule = _ellipsoid(side - 14.5 + 0.2 * np.abs(y + 3), y, z, (1.6, 17, 9)) < 1
    labels[(callosum | capsule) & ~csf & cerebrum] = TISSUES.index("compact")
    labels[cerebellum & ~csf] = TISSUES.index("cerebellum")
    labels[stem & ~cerebellum & ~csf] = TISSUES.index("stem")
    return labels, (labels >= 0) | (radius < 1.22) & (z > -30)


def _lesion(
    space: _Space, position: Volume, labels: NDArray[np.int8], tissue: Mask, percent: tuple[float, float]
) -> Mask:
    """Return the part of the tissue, of the drawn size, that the injury's pattern takes first; its edge is ragged."""
    if percent[1] == 0:
        return np.zeros(space.size, bool)
    voxels = max(1, round(float(np.exp(space.random.uniform(*np.log(percent)))) / 100 * int(tissue.sum())))
    patterns = ("near total", *PATTERNS) if percent[1] > 5 else tuple(p for p in PATTERNS if p != "near total")
    pattern = str(space.random.choice(patterns))
    affinity = _AFFINITY[pattern](space, position, labels)
    uneven = 0.2 * np.sign(position[0]) * space.random.normal()  # one hemisphere more than the other
    ragged = np.where(tissue, affinity + uneven + 0.3 * space.smooth(4.0) + 0.25 * space.smooth(18.0), -np.inf)
    lesion = np.zeros(tissue.size, bool)
    lesion[np.argpartition(-ragged, voxels, axis=None)[:voxels]] = True
    return lesion.reshape(space.size)


def _central(space: _Space, position: Volume, labels: NDArray[np.int8]) -> Volume:
    x, y, z = position
    nuclei = -np.minimum(
        _ellipsoid(np.abs(x) - 11, y - 5, z - 1, (6, 8, 7)), _ellipsoid(np.abs(x) - 20, y, z, (5, 9, 7))
    )
    rolandic = -_ellipsoid(np.abs(x) - 22, y - 4, z - 30, (12, 6, 7)) - space.uniform(0.3, 2.0)
    return np.asarray(np.maximum(nuclei, rolandic) + 0.6 * (labels == TISSUES.index("deep")))


def _watershed(space: _Space, position: Volume, labels: NDArray[np.int8]) -> Volume:
    x, y, z = position
    front = -_ellipsoid(np.abs(x) - 20, y + 30, z - 16, (8, 14, 12))
    back = -_ellipsoid(np.abs(x) - 24, y - 30, z - 12, (9, 13, 14))
    outer = np.isin(labels, (TISSUES.index("cortex"), TISSUES.index("white")))
    return np.asarray(np.maximum(front + space.random.normal(0, 0.5), back) + 0.8 * outer)


def _near_total(space: _Space, position: Volume, labels: NDArray[np.int8]) -> Volume:
    spared = np.isin(labels, [TISSUES.index(name) for name in ("stem", "cerebellum")])
    return np.asarray(-1.5 * spared - 0.01 * np.abs(position[2] - 8) + 0.6 * space.smooth(35.0))


def _foci(space: _Space, position: Volume, labels: NDArray[np.int8]) -> Volume:
    places = np.argwhere(np.isin(labels, [TISSUES.index(name) for name in ("white", "cortex", "deep", "compact")]))
    nearest = np.full(space.size, np.inf)
    for place in places[space.random.integers(0, len(places), space.random.integers(1, 6))]:
        away = position - position[(slice(None), *place)][:, None, None, None]
        nearest = np.minimum(nearest, np.sqrt((away**2).sum(axis=0)) / space.uniform(5.0, 11.0))
    return -nearest


_AFFINITY: dict[str, Callable[[_Space, Volume, NDArray[np.int8]], Volume]] = {
    "basal ganglia and thalami": _central,
    "watershed": _watershed,
    "near total": _near_total,
    "foci": _foci,
}


def _adc(space: _Space, position: Volume, fractions: Volume, lesion: Mask) -> Volume:
    """Return the ADC: each tissue about its mean, lowered in the lesion, with the noise of the measurement."""
    mean, std = (np.tensordot(values, fractions, 1) for values in (MEAN, STD))
    white = fractions[0]
    mean = mean + white * (40 * space.random.normal() - 0.8 * position[1] + 45 * space.smooth(20.0))
    soft = gaussian_filter(lesion.astype(float), 1.2 / space.spacing)
    lost = space.uniform(0.4, 0.7) * soft * np.clip(1 + 0.3 * space.smooth(5.0), 0.3, 1.6)
    own = space.random.normal(0.1, 0.2) + 0.2 * space.smooth(6.0)
    noise = NOISE_STD_MM3 / np.sqrt(space.spacing.prod()) * space.random.standard_normal(space.size)
    return np.asarray((mean + std * own) * (1 - lost) + 100.0 * noise)


def _scanned(space: _Space, adc: Volume) -> Volume:
    """Return the map as a moving child and a small matrix give it: slices shifted, the highest frequencies missing."""
    moved = space.random.random(space.size[2]) < space.uniform(0.0, 0.15)
    adc = adc.copy()
    for number in np.flatnonzero(moved):
        adc[..., number] = shift(adc[..., number], space.random.normal(0, 1.2, 2), order=1)
        adc[..., number] *= space.uniform(0.9, 1.12)
    kept = space.uniform(0.72, 1.0)
    frequency = [np.abs(np.fft.fftfreq(n)) <= 0.5 * kept for n in space.size[:2]]
    spectrum = np.fft.fft2(adc, axes=(0, 1)) * (frequency[0][:, None] & frequency[1][None])[..., None]
    return np.asarray(np.fft.ifft2(spectrum, axes=(0, 1)).real)


def _stripped(space: _Space, brain: Mask) -> Mask:
    """Return the mask of a skull stripping that errs by millimetres in patches."""
    signed = distance_transform_edt(brain, sampling=space.spacing) - distance_transform_edt(
        ~brain, sampling=space.spacing
    )
    return np.asarray(signed + 0.9 * space.smooth(22.0) - space.uniform(-0.2, 2.0) > 0)


def _atlas(space: _Space, fractions: Volume, brain: Mask) -> tuple[Volume, Volume]:
    """Return mean and standard deviation of the atlas at each voxel, where children's folds are blurred together."""
    width = space.uniform(1.2, 2.0) / space.spacing
    weight = np.maximum(gaussian_filter(brain.astype(float), width), 1e-3)
    mixed = np.stack([gaussian_filter(fraction * brain, width) / weight for fraction in fractions])
    away = space.random.normal(0, 0.6, 3) / space.spacing
    mixed = np.stack([shift(fraction, away, order=1, mode="nearest") for fraction in mixed])
    mixed /= np.maximum(mixed.sum(axis=0), 1e-6)
    mean = np.tensordot(MEAN, mixed, 1)
    between = np.tensordot(MEAN**2, mixed, 1) - mean**2
    variance = np.tensordot((0.65 * STD) ** 2, mixed, 1) + 0.1 * between
    return mean, np.sqrt(np.clip(variance, 60.0**2, None))


def _ellipsoid(x: Volume, y: Volume, z: Volume, half_axes_mm: tuple[float, float, float]) -> Volume:
    a, b, c = half_axes_mm
    return np.asarray(np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2))
