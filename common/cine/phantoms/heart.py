"""A beating heart in short-axis slices: cavities, wall, papillary muscles, chest, and bSSFP-like images of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .chest import BLOOD, MUSCLE, CineSettings, chest_signal, sensitivity, smooth_noise

BACKGROUND, RIGHT_VENTRICLE, MYOCARDIUM, LEFT_VENTRICLE = range(4)


@dataclass(frozen=True)
class SimulatedCine:
    """A simulated series with its reference.

    Attributes:
        frames: (S, T, H, W) int16, from base to apex.
        diastole, systole: (S, H, W) uint8 labels of the two frames, 1 right ventricle, 2 myocardium, 3 left ventricle.
        systolic_frame: index of end-systole; end-diastole is frame 0.
        spacing_mm: between rows, columns, slices.
        interval_ms: between frames.
    """

    frames: np.ndarray
    diastole: np.ndarray
    systole: np.ndarray
    systolic_frame: int
    spacing_mm: tuple[float, float, float]
    interval_ms: float


@dataclass(frozen=True)
class _Heart:
    """Shape of one patient's heart at end-diastole in mm, and how it moves."""

    radius: float
    length: float
    wall: float
    shortening: float
    centre: np.ndarray
    tilt: np.ndarray
    pull: np.ndarray
    turn: float
    eccentricity: float
    systolic_frame: int
    slice_step: float


@dataclass(frozen=True)
class _Layers:
    """How far each pixel lies inside each structure, in pixels; (S, T, H, W), positive inside."""

    cavity: np.ndarray
    wall: np.ndarray
    right: np.ndarray
    right_wall: np.ndarray
    papillary: np.ndarray
    atrium: np.ndarray


def simulate_heart(rng: np.random.Generator, ef_percent: float, settings: CineSettings) -> SimulatedCine:
    """Return a series whose cavity mask loses exactly `ef_percent` of its voxels from diastole to systole.

    The voxels of the cavity in each frame are those of smallest distance from the axis in units of the local radius,
    as many as the volume curve asks for: so the ejection fraction is right to one voxel. The wall keeps its volume: it
    thickens as the cavity shrinks and the base descends.

    Args:
        rng: draws anatomy, heart rate, contrast and noise.
        ef_percent: ejection fraction to set, 1 to 90.
        settings: size of the series.

    Raises:
        ValueError: if the ejection fraction is not between 1 and 90 %.
    """
    if not 1.0 <= ef_percent <= 90.0:
        raise ValueError(f"expected an ejection fraction of 1 to 90 %, found {ef_percent}.")
    heart = _draw_heart(rng, ef_percent, settings)
    layers, counts = _layers(heart, ef_percent, settings)
    pixel = settings.field_of_view_mm / settings.size
    image = _tissue(rng, heart, layers, settings)
    image *= sensitivity(rng, settings)
    frames = _with_noise(rng, image)
    heart_rate = rng.uniform(55.0, 95.0)
    return SimulatedCine(
        frames=frames,
        diastole=_labels(layers, 0, counts[0]),
        systole=_labels(layers, heart.systolic_frame, counts[heart.systolic_frame]),
        systolic_frame=heart.systolic_frame,
        spacing_mm=(pixel, pixel, heart.slice_step),
        interval_ms=60000.0 / heart_rate / settings.frames,
    )


def contraction(
    frames: int, systolic_frame: int, early: float = 0.7, early_end: float = 0.4, late_start: float = 0.75
) -> np.ndarray:
    """Return (T,) how far the heart is contracted: 0 at frame 0, 1 at `systolic_frame`, filling in two steps after it.

    The part `early` returns in early filling, none in diastasis, the rest with the atrial contraction; early filling
    ends and the atrial contraction begins at the given parts of diastole.
    """
    time = np.arange(frames)
    systole = np.sin(0.5 * np.pi * np.clip(time / systolic_frame, 0.0, 1.0)) ** 2
    late = (time - systolic_frame) / (frames - systolic_frame)
    early_filling = np.sin(0.5 * np.pi * np.clip(late / early_end, 0.0, 1.0)) ** 2
    atrial_filling = np.sin(0.5 * np.pi * np.clip((late - late_start) / (1.0 - late_start), 0.0, 1.0)) ** 2
    return np.asarray(
        np.where(time <= systolic_frame, systole, 1.0 - early * early_filling - (1.0 - early) * atrial_filling)
    )


def _draw_heart(rng: np.random.Generator, ef_percent: float, settings: CineSettings) -> _Heart:
    weakness = (60.0 - ef_percent) / 35.0
    length = 82.0 + 5.0 * weakness + rng.normal(0.0, 4.0)
    systolic_frame = int(np.clip(round(rng.uniform(0.32, 0.42) * settings.frames), 1, settings.frames - 2))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    return _Heart(
        # Failing hearts dilate: 46 mm wide at an EF of 60 %, 58 mm at 25 %, with an overlap like that of patients (by
        # size alone the AUC would be near 0.87), so that size helps and motion decides.
        radius=max(18.0, 23.0 + 6.0 * weakness + rng.normal(0.0, 3.5)),
        length=length,
        wall=8.5 + rng.normal(0.0, 1.0),
        shortening=13.0 * ef_percent / 60.0,
        centre=np.array([rng.uniform(-0.04, 0.08), rng.uniform(-0.06, 0.05)]) * settings.field_of_view_mm,
        tilt=rng.normal(0.0, 0.08, 2),
        pull=2.0 * np.array([np.cos(angle), np.sin(angle)]),
        turn=np.deg2rad(rng.uniform(-25.0, 25.0)),
        eccentricity=rng.uniform(0.0, 0.08),
        systolic_frame=systolic_frame,
        slice_step=length * rng.uniform(1.05, 1.15) / settings.slices,
    )


def _layers(heart: _Heart, ef_percent: float, settings: CineSettings) -> tuple[_Layers, np.ndarray]:
    """Return the layers and (T,) how many voxels the cavity has."""
    pixel = np.float32(settings.field_of_view_mm / settings.size)
    squeeze = contraction(settings.frames, heart.systolic_frame)
    depth_mm = (np.arange(settings.slices) + 0.35) * heart.slice_step
    # Height between base (0) and apex (1): the base descends by `shortening`, the apex stays.
    base = heart.shortening * squeeze
    height = (depth_mm[:, None] - base) / (heart.length - base)
    inside = (height >= 0.0) & (height < 1.0)
    radius = np.where(inside, heart.radius * np.sqrt(1.0 - np.clip(height, 0.0, 1.0) ** 2.5), 0.0)
    x, y = _heart_axes(heart, settings, depth_mm, squeeze)
    distance = np.sqrt(x * x + y * y)
    distance *= _roundness(x, y, distance, heart.eccentricity)
    scale, counts = _fit_volume(distance, radius, 1.0 - ef_percent / 100.0 * squeeze)
    cavity_mm = radius * scale
    wall_mm = _wall_radius(heart, height, cavity_mm, radius[:, 0], base)
    blood = (cavity_mm[..., None, None].astype(np.float32) - distance) / pixel
    blood[~(radius > 0)] = -1e3
    right, right_wall = _right_ventricle(heart, x, y, height, squeeze * ef_percent / 60.0)
    layers = _Layers(
        cavity=blood,
        wall=(wall_mm[..., None, None].astype(np.float32) - distance) / pixel,
        right=right / pixel,
        right_wall=right_wall / pixel,
        papillary=_papillary(heart, x, y, height, cavity_mm) / pixel,
        # Where the base has descended past a slice, the left atrium shows in it.
        atrium=(np.where(height < 0.0, 0.85 * heart.radius, -1e3)[..., None, None].astype(np.float32) - distance)
        / pixel,
    )
    return layers, counts


def _heart_axes(
    heart: _Heart, settings: CineSettings, depth_mm: np.ndarray, squeeze: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return x, y in mm from the cavity's axis, turned so that the right ventricle lies at negative x."""
    grid = ((np.arange(settings.size) + 0.5) / settings.size - 0.5) * settings.field_of_view_mm
    centre = heart.centre + depth_mm[:, None, None] * heart.tilt + squeeze[None, :, None] * heart.pull
    across = (grid - centre[..., 0, None])[:, :, None, :].astype(np.float32)
    down = (grid - centre[..., 1, None])[:, :, :, None].astype(np.float32)
    cosine, sine = np.float32(np.cos(heart.turn)), np.float32(np.sin(heart.turn))
    return cosine * across + sine * down, cosine * down - sine * across


def _roundness(x: np.ndarray, y: np.ndarray, distance: np.ndarray, eccentricity: float) -> np.ndarray:
    """Return a factor of the distance that makes circles ovals with a little unevenness of third order."""
    safe = np.maximum(distance, np.float32(1e-3))
    cosine, sine = x / safe, y / safe
    third = cosine * (cosine * cosine - 3.0 * sine * sine)
    return np.asarray(1.0 + eccentricity * (cosine * cosine - sine * sine) + 0.3 * eccentricity * third)


def _fit_volume(distance: np.ndarray, radius: np.ndarray, volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (T,) factors of the radius that give each frame its fraction of the first one's voxels, and the counts."""
    relative = np.full(distance.shape, np.inf, np.float32)
    np.divide(distance, radius[..., None, None], out=relative, where=radius[..., None, None] > 0)
    per_frame = np.moveaxis(relative, 1, 0).reshape(len(volume), -1)
    counts = np.rint(volume * np.count_nonzero(per_frame[0] < 1.0)).astype(int)
    scale = np.empty(len(counts))
    for frame, count in enumerate(counts):
        lower, upper = np.partition(per_frame[frame], (count - 1, count))[count - 1 : count + 1]
        scale[frame] = 0.5 * (float(lower) + float(upper))
    return scale, counts


def _wall_radius(
    heart: _Heart, height: np.ndarray, cavity_mm: np.ndarray, diastolic_mm: np.ndarray, base: np.ndarray
) -> np.ndarray:
    """Return (S, T) outer radius of the wall: its area grows as the heart shortens, so its volume stays."""
    thickness = heart.wall * (1.0 - 0.3 * np.clip(height[:, 0], 0.0, 1.0))
    area = (diastolic_mm + thickness) ** 2 - diastolic_mm**2
    outer = np.sqrt(cavity_mm**2 + area[:, None] * heart.length / (heart.length - base))
    beyond = (height - 1.0) * heart.length / heart.wall
    cap = heart.wall * np.sqrt(np.clip(1.0 - beyond**2, 0.0, None))
    outer = np.where(height >= 1.0, np.where(beyond < 1.0, cap, -1e3), outer)
    return np.asarray(np.where(height < 0.0, -1e3, outer))


def _right_ventricle(
    heart: _Heart, x: np.ndarray, y: np.ndarray, height: np.ndarray, squeeze: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return depth in mm inside the right ventricle and inside its thin wall; the left wall is drawn over both."""
    outer = heart.radius + heart.wall
    taper = np.sqrt(np.clip(1.0 - (np.clip(height, 0.0, 1.0) / 0.92) ** 2, 0.0, None))
    shrink = taper * (1.0 - 0.22 * squeeze)
    across = (1.05 * outer * shrink)[..., None, None].astype(np.float32)
    along = (1.20 * outer * shrink)[..., None, None].astype(np.float32)
    middle = (-0.72 * outer * (0.75 + 0.25 * taper))[..., None, None].astype(np.float32)
    small = np.maximum(np.minimum(across, along), 1e-3)
    # The free wall bulges more above than below: a crescent, not a circle.
    relative = np.sqrt(((x - middle - 0.12 * y) / np.maximum(across, 1e-3)) ** 2 + (y / np.maximum(along, 1e-3)) ** 2)
    depth = (1.0 - relative) * small
    depth[np.broadcast_to(shrink <= 0.15, depth.shape[:2])] = -1e3
    return depth, depth + 3.5


def _papillary(heart: _Heart, x: np.ndarray, y: np.ndarray, height: np.ndarray, cavity_mm: np.ndarray) -> np.ndarray:
    """Return depth in mm inside the two papillary muscles, which stay thick while the cavity shrinks around them."""
    size = 0.19 * heart.radius * np.sqrt(np.clip(1.0 - ((height - 0.5) / 0.28) ** 2, 0.0, None))
    size = np.where(size > 0, size, -1e3)[..., None, None].astype(np.float32)
    depth = np.full(x.shape, -1e3, np.float32)
    for angle in (np.deg2rad(55.0), np.deg2rad(-65.0)):
        away = (0.72 * cavity_mm)[..., None, None].astype(np.float32)
        square = (x - away * np.float32(np.cos(angle))) ** 2 + (y - away * np.float32(np.sin(angle))) ** 2
        np.maximum(depth, size - np.sqrt(square), out=depth)
    return depth


def _labels(layers: _Layers, frame: int, count: int) -> np.ndarray:
    """Return (S, H, W) labels; papillary muscles belong to the cavity, as clinical contours have it."""
    labels = np.where(layers.right[:, frame] > 0, RIGHT_VENTRICLE, BACKGROUND)
    labels = np.where(layers.wall[:, frame] > 0, MYOCARDIUM, labels)
    cavity = layers.cavity[:, frame]
    threshold = np.partition(cavity.ravel(), cavity.size - count)[cavity.size - count]
    return np.where(cavity >= max(float(threshold), 0.0), LEFT_VENTRICLE, labels).astype(np.uint8)


def _tissue(rng: np.random.Generator, heart: _Heart, layers: _Layers, settings: CineSettings) -> np.ndarray:
    """Return (S, T, H, W) signal, blood 1, with mixed pixels at the borders."""
    heart_depth = np.maximum(layers.wall[:, 0], layers.right_wall[:, 0])
    heart_depth *= settings.field_of_view_mm / settings.size
    chest = chest_signal(rng, heart.centre, heart_depth, settings)
    image = np.repeat(chest[:, None], settings.frames, axis=1)
    blood = BLOOD * (1.0 + 0.10 * smooth_noise(rng, (settings.slices, settings.size, settings.size), 6))
    blood = blood[:, None].astype(np.float32)
    # Blood that leaves fast in systole has dephased a little.
    rush = np.sin(np.pi * np.clip(np.arange(settings.frames) / heart.systolic_frame, 0.0, 1.0))
    blood = blood * (1.0 - 0.12 * rng.random() * rush)[None, :, None, None].astype(np.float32)
    muscle = np.float32(MUSCLE * rng.uniform(0.85, 1.2))
    for depth, signal in (
        (layers.right_wall, muscle),
        (layers.right, 0.95 * blood),
        (layers.atrium + np.float32(2.0 * settings.size / settings.field_of_view_mm), muscle),
        (layers.atrium, 0.9 * blood),
        (layers.wall, muscle),
        (layers.cavity, blood),
    ):
        _cover(image, depth, signal)
    papillary = np.minimum(layers.papillary, layers.cavity)
    _cover(image, papillary, muscle * np.float32(1.15))
    return image


def _cover(image: np.ndarray, depth: np.ndarray, signal: np.ndarray | np.float32) -> None:
    """Blend `signal` over `image` where `depth` (pixels) is positive, with a border one pixel wide."""
    fraction = np.clip(depth + np.float32(0.5), 0.0, 1.0)
    image += fraction * (signal - image)


def _with_noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return int16 magnitudes with Rician noise; the scale of a scanner's numbers is arbitrary."""
    sigma = np.float32(rng.uniform(0.02, 0.05))
    real = rng.standard_normal(image.shape, dtype=np.float32) * sigma + image
    imaginary = rng.standard_normal(image.shape, dtype=np.float32) * sigma
    return np.rint(np.hypot(real, imaginary) * rng.uniform(350.0, 800.0)).astype(np.int16)
