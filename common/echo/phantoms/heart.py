"""A beating left ventricle in an apical four-chamber view, as ultrasound shows it."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .look import Look

# Share of the beat, share of the stroke volume that has left: systole, early filling, diastasis, atrial filling.
BEAT = ((0.0, 0.0), (0.08, 0.15), (0.35, 1.0), (0.45, 0.75), (0.6, 0.25), (0.85, 0.15), (1.0, 0.0))
SEGMENTS = 6
# Echo amplitudes over that of the brightest interface; blood is 40 dB below.
WALL, TISSUE, INTERFACE, BLOOD = 0.22, 0.05, 0.6, 0.005
TEXTURE_MM = 0.8
TEXTURE_PIXELS = 320


@dataclass(frozen=True)
class Heart:
    """A ventricle as half an ellipsoid of revolution, with its beat and its place under the probe.

    Attributes:
        ef_percent: ejection fraction; exact, because a * b^2 shrinks by it from end-diastole to end-systole.
        long_axis_mm, radius_mm, wall_mm: a, b and the wall thickness at end-diastole.
        heart_rate_bpm, phase: beats a minute; share of a beat that has passed at time 0.
        tilt_rad: of the long axis, positive to the image's right.
        apex_mm: (x, depth) of the inner apex; x = 0 under the probe.
        infarcted: for six segments from the septal base over the apex to the lateral base, whether they stand still.
        beat: (share of the beat, share of the stroke volume that has left), from end-diastole to end-diastole.
        longitudinal_share: of a fractional volume change, this share shortens the long axis; the radius takes the rest.
        offset_mm: by how much the picture's plane misses the long axis; it shows a smaller ventricle then
            (foreshortening), and changes nothing in its volume.
        papillary: radius of the papillary muscle's section, in radii of the ventricle; 0 is none.
        chambers: size of the atria and the right ventricle over the usual.
        rocking_rad: how far the heart has turned at end-systole.
        drift_mm, breath_s: how far breathing moves it, and how long a breath takes.
        surroundings: echo amplitude of what lies around the heart.
        patchy_db: standard deviation of the tissue's brightness from place to place.
    """

    ef_percent: float
    long_axis_mm: float = 82.0
    radius_mm: float = 24.0
    wall_mm: float = 9.0
    heart_rate_bpm: float = 70.0
    phase: float = 0.0
    tilt_rad: float = 0.0
    apex_mm: tuple[float, float] = (5.0, 22.0)
    infarcted: tuple[bool, ...] = (False,) * SEGMENTS
    beat: tuple[tuple[float, float], ...] = BEAT
    longitudinal_share: float = 0.25
    offset_mm: float = 0.0
    papillary: float = 0.0
    chambers: float = 1.0
    rocking_rad: float = 0.0
    drift_mm: float = 0.0
    breath_s: float = 4.0
    surroundings: float = TISSUE
    patchy_db: float = 0.0


@dataclass(frozen=True)
class Probe:
    """What the picture shows of the heart.

    Attributes:
        size: rows and columns of the square picture.
        depth_mm: from the probe to the lower edge.
        half_angle_rad: between the sector's axis and its edge.
        gain_db: brightness over the usual.
        noise_db: of the receiver's noise at full depth, over the brightest interface; higher is a poorer picture.
        mirrored: whether the left ventricle is on the left, as some laboratories show it.
        top_mm: depth of the upper edge.
        look: the scanner's compression and what hides the heart.
    """

    size: int = 112
    depth_mm: float = 160.0
    half_angle_rad: float = 0.75
    gain_db: float = 0.0
    noise_db: float = -46.0
    mirrored: bool = False
    top_mm: float = 0.0
    look: Look = field(default_factory=Look)


def ejected_share(heart: Heart, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (T,): the share of the stroke volume that has left at each time, 0 at end-diastole, 1 at end-systole."""
    from scipy.interpolate import PchipInterpolator

    shares, ejected = zip(*heart.beat, strict=True)
    return PchipInterpolator(shares, ejected)((times_s * heart.heart_rate_bpm / 60 + heart.phase) % 1.0)


def semi_axes_mm(heart: Heart, ejected: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (T,) long axis a and (T,) radius b, so that a * b^2 is the end-diastolic one less EF times `ejected`."""
    loss = heart.ef_percent / 100 * ejected
    long_axis = heart.long_axis_mm * (1 - heart.longitudinal_share * loss)
    return long_axis, heart.radius_mm * np.sqrt((1 - loss) * heart.long_axis_mm / long_axis)


def volume_ml(long_axis_mm: NDArray[np.float64], radius_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the volume of half an ellipsoid of revolution, 2/3 pi a b^2, in millilitres."""
    return 2 / 3 * math.pi * long_axis_mm * radius_mm**2 / 1000


def render(
    heart: Heart, probe: Probe, times_s: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return (T, H, W) pictures of the heart at the given times; the speckle moves with the tissue."""
    from scipy import ndimage

    ejected = ejected_share(heart, times_s).astype(np.float32)
    x, depth = _grid_mm(probe)
    look = probe.look
    geometry = _Geometry(heart, ejected, times_s.astype(np.float32), x, depth)
    texture = _speckle(generator, heart.patchy_db)
    at = np.stack(geometry.material_mm()) / TEXTURE_MM + TEXTURE_PIXELS / 2
    speckle = ndimage.map_coordinates(texture, at, order=1, mode="grid-wrap", output=np.float32)
    noise = generator.standard_normal((2, *speckle.shape), dtype=np.float32)
    floor = BLOOD + 10 ** (probe.noise_db / 20) * depth / probe.depth_mm
    seen = geometry.amplitude() * look.wall_share(geometry.angle, geometry.radius)
    amplitude = (seen * speckle + look.haze(x, depth)) * look.shadow(x, depth) + floor * np.hypot(noise[0], noise[1])
    sigma = (0, 0.4, 0.7) if probe.size > 64 else (0, 0.25, 0.4)
    blurred = ndimage.gaussian_filter(amplitude, [side * look.blur for side in sigma])
    level = look.grey(20 * np.log10(blurred + 1e-5) + probe.gain_db, depth / probe.depth_mm)
    inside = (np.abs(np.arctan2(x, depth)) < probe.half_angle_rad) & (np.hypot(x, depth) < probe.depth_mm * 0.98)
    frames = (level * 255 * inside).astype(np.uint8)
    return np.ascontiguousarray(frames[..., ::-1]) if probe.mirrored else frames


class _Geometry:
    """Where each pixel lies in the beating heart; arrays are (T, H, W)."""

    def __init__(self, heart: Heart, ejected: NDArray, times_s: NDArray, x: NDArray, depth: NDArray) -> None:
        a, b = (axis.astype(np.float32)[:, None, None] for axis in semi_axes_mm(heart, ejected))
        section = np.sqrt(1 - (heart.offset_mm / b) ** 2)
        self.heart, self.a, self.b, self.ejected = heart, a * section, b * section, ejected[:, None, None]
        a, b = self.a, self.b
        tilt = heart.tilt_rad + heart.rocking_rad * self.ejected
        cosine, sine = np.cos(tilt), np.sin(tilt)
        breath = heart.drift_mm * np.sin(2 * math.pi * times_s / heart.breath_s)[:, None, None]
        x, depth = x - heart.apex_mm[0], depth - heart.apex_mm[1] - breath
        self.along, self.lateral = depth * cosine + x * sine, x * cosine - depth * sine
        self.above_base = a - self.along
        self.angle = np.arctan2(self.lateral / b, np.maximum(self.above_base, 0) / a)
        self.inner = self._inner_radius()
        self.outer = self._outer_radius()
        self.radius = np.hypot(np.maximum(self.above_base, 0) / a, self.lateral / b)

    def _inner_radius(self) -> NDArray:
        """Return the endocardium in units of the ellipse; above 1 where infarcted segments do not follow."""
        if not any(self.heart.infarcted):
            return np.ones_like(self.angle)
        rest = _ellipse_radius(self.angle, self.a, self.b, self.heart.long_axis_mm, self.heart.radius_mm)
        place = (self.angle / math.pi + 0.5) * SEGMENTS - 0.5
        still = np.interp(place, np.arange(SEGMENTS), np.asarray(self.heart.infarcted, np.float32))
        return (1 + still * (rest - 1)).astype(np.float32)

    def _outer_radius(self) -> NDArray:
        """Return the epicardium in the same units: the wall keeps its volume and so thickens."""
        heart = self.heart
        long, wide = self.a + heart.wall_mm, heart.radius_mm + heart.wall_mm
        wall = (heart.long_axis_mm + heart.wall_mm) * wide**2 - heart.long_axis_mm * heart.radius_mm**2
        thick = np.sqrt((wall + self.a * self.b**2) / long)
        return np.maximum(_ellipse_radius(self.angle, self.a, self.b, long, thick), self.inner + 0.15)

    def material_mm(self) -> tuple[NDArray, NDArray]:
        """Return the end-diastolic place of what is seen at each pixel: along and across the long axis."""
        heart = self.heart
        outer = heart.long_axis_mm + heart.wall_mm, heart.radius_mm + heart.wall_mm
        rest = _ellipse_radius(self.angle, heart.long_axis_mm, heart.radius_mm, *outer)
        share = (self.radius - self.inner) / (self.outer - self.inner)
        beyond = np.maximum(self.radius - self.outer, 0)
        radius = 1 + np.clip(share, -1, 1) * (rest - 1) + beyond
        above = np.where(self.above_base > 0, heart.long_axis_mm * radius * np.cos(self.angle), self.above_base)
        across = np.where(self.above_base > 0, heart.radius_mm * radius * np.sin(self.angle), self.lateral)
        fade = np.exp(-beyond * heart.radius_mm / 25 + np.minimum(self.above_base, 0) / 60)
        along = self.along + fade * (heart.long_axis_mm - above - self.along)
        return along, self.lateral + fade * (across - self.lateral)

    def amplitude(self) -> NDArray:
        """Return the echo amplitude of chambers, walls, valve and pericardium."""
        above, lateral, ejected = self.above_base, self.lateral, self.ejected
        wall = (above > -4) & (self.radius < self.outer)
        image = np.where(wall, WALL, self.heart.surroundings).astype(np.float32)
        rim = (above > 0) & (np.abs(self.radius - self.outer - 0.06) < 0.06) & (lateral > 0)
        image[rim] = INTERFACE
        filling = self.heart.chambers * (1 + 0.2 * ejected)
        right = self.b + self.heart.wall_mm
        chambers = (above > 0) & (self.radius < self.inner)
        chambers |= _inside(lateral, above, 0, -25 * filling, 21 * filling, 22 * filling)
        chambers |= _inside(lateral, above, -right - 19, -22 * filling, 18 * filling, 18 * filling)
        chambers |= ~wall & _inside(lateral, above, -right - 13, 24, 16 * (1.2 - 0.3 * ejected), 36) & (above > -2)
        image[chambers] = 0
        image[self._papillary()] = WALL
        return np.maximum(image, INTERFACE * self._valve())

    def _papillary(self) -> NDArray:
        """Return where the papillary muscle of the lateral wall is, which moves with the ventricle."""
        above, lateral = self.above_base / self.a, self.lateral / self.b
        return np.hypot(above - 0.5, lateral - 0.72) < self.heart.papillary

    def _valve(self) -> NDArray:
        """Return where the mitral leaflets are: closed in systole, opened into the ventricle while it fills."""
        filling = np.gradient(self.ejected[:, 0, 0]) < -1e-3 if len(self.ejected) > 1 else np.zeros(1, bool)
        lift = np.where(filling, 1.1, 0.15).astype(np.float32)[:, None, None]
        distance = self.b - np.abs(self.lateral)
        on_leaflet = (distance > 0) & (distance < self.b * np.where(lift > 1, 0.55, 1.0))
        return on_leaflet & (np.abs(self.above_base - lift * distance) < 1.2)


def _ellipse_radius(
    angle: NDArray, a: NDArray | float, b: NDArray | float, long: NDArray | float, wide: NDArray | float
) -> NDArray:
    """Return the radius, in units of the ellipse (a, b) and at its angles, of the ellipse (long, wide)."""
    return 1 / np.hypot(a * np.cos(angle) / long, b * np.sin(angle) / wide)


def _inside(
    x: NDArray, y: NDArray, centre_x: NDArray | float, centre_y: NDArray | float, wide: NDArray, high: NDArray | float
) -> NDArray:
    return ((x - centre_x) / wide) ** 2 + ((y - centre_y) / high) ** 2 < 1


def _grid_mm(probe: Probe) -> tuple[NDArray, NDArray]:
    """Return x and depth of the pixel centres, (1, H, W) each."""
    pitch = probe.depth_mm / probe.size
    depth, x = np.mgrid[0 : probe.size, 0 : probe.size].astype(np.float32) * np.float32(pitch)
    return x[None] - probe.depth_mm / 2 + pitch / 2, depth[None] + pitch / 2 + np.float32(probe.top_mm)


def _speckle(generator: np.random.Generator, patchy_db: float) -> NDArray:
    """Return a Rayleigh-distributed texture of mean 1 that wraps around, brighter in some patches of 10 mm."""
    from scipy import ndimage

    parts = generator.standard_normal((2, TEXTURE_PIXELS, TEXTURE_PIXELS), dtype=np.float32)
    smooth = ndimage.gaussian_filter(parts, (0, 1.0, 1.6), mode="wrap")
    magnitude = np.hypot(smooth[0], smooth[1])
    if patchy_db:
        patches = ndimage.gaussian_filter(parts[0], 10 / TEXTURE_MM, mode="wrap")
        magnitude *= 10 ** (patchy_db / 20 * patches / patches.std())
    return magnitude / magnitude.mean()
