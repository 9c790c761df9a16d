"""The corruptions that the restoration task of SSLHF undoes: shuffled windows, covered patches, covered frames."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from monai.config import NdarrayOrTensor
from monai.transforms import Randomizable, Transform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type

RECEPTIVE_FIELD_PIXELS = 140
"""In plane, of ten 3 x 3 x 3 convolutions in five levels of two and four poolings by 2: 4 pixels a level, times 1, 2,
4, 8 and 16, plus 1 + 2 + 4 + 8 for the poolings and 1 for the pixel itself."""


class CineCorruption(Randomizable, Transform):
    """What the three have in common: (C, H, W, T) in, a changed copy of the same kind out."""

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012 MONAI declares it so

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> NdarrayOrTensor:
        """Return a corrupted copy of `img` (C, H, W, T); `randomize=False` repeats the last draw."""
        cine = _as_float_array(img)
        if randomize:
            self.randomize(cine.shape[1:])
        return convert_to_dst_type(self.corrupt(cine), img, dtype=torch.float32 if _is_integer(img) else None)[0]

    @abstractmethod
    def corrupt(self, cine: np.ndarray) -> np.ndarray:
        """Return the copy of `cine` (C, H, W, T) that the last :meth:`randomize` stands for."""


class LocalPixelShuffle(CineCorruption):
    """Permutes rows and columns of small windows, in each frame at its own positions and in its own orders (eq. 1).

    Windows are read from the original and written to a copy, so that where two overlap the later one wins whole. A
    window's size is shared by all frames: that is what lets numpy move the windows of all frames at once, and no frame
    can tell. Sides are uniform in 1..`max_side`.

    Args:
        windows_per_frame: windows drawn in each frame. The paper says "some"; 100 with the default `max_side` are a
            quarter of a frame's area, for frames of any size.
        max_side: largest side in pixels, below the encoder's receptive field (140). None: a tenth of the frame's side
            as in Models Genesis, within 2..139, for height and width apart.
        mode: "permute" moves whole rows and columns as the paper's W~ = P' W P does; "pixels" puts all pixels of a
            window in any order, as Models Genesis does.

    Raises:
        ValueError: for an unknown mode, no window, or a `max_side` outside 1..139.

    References:
        Zhong et al., EMBC 2021, section III.B, eq. 1.
        Zhou et al., Models Genesis, Med Image Anal 67, 2021, https://arxiv.org/abs/2004.07882

    Example:
        >>> import numpy as np
        >>> from common.cine import LocalPixelShuffle
        >>> cine = np.random.rand(1, 64, 64, 10)
        >>> shuffled = LocalPixelShuffle().set_random_state(0)(cine)
        >>> bool(np.isin(shuffled, cine).all() and (shuffled != cine).any())  # the same values at other positions
        True
    """

    def __init__(self, windows_per_frame: int = 100, max_side: int | None = None, mode: str = "permute") -> None:
        if mode not in ("permute", "pixels"):
            raise ValueError(f"mode: expected 'permute' or 'pixels', found {mode!r}")
        if windows_per_frame < 1:
            raise ValueError(f"windows_per_frame: expected at least 1, found {windows_per_frame}")
        if max_side is not None and not 1 <= max_side < RECEPTIVE_FIELD_PIXELS:
            raise ValueError(
                f"max_side: expected 1 to {RECEPTIVE_FIELD_PIXELS - 1} pixels, below what a neuron sees, found "
                f"{max_side}"
            )
        self.windows_per_frame, self.max_side, self.mode = windows_per_frame, max_side, mode
        self._sides: np.ndarray = np.empty((0, 2), dtype=np.intp)
        self._starts: np.ndarray = np.empty((0, 0, 2), dtype=np.intp)
        self._orders: list[tuple[np.ndarray, ...]] = []

    def largest_sides(self, shape: Sequence[int]) -> tuple[int, int]:
        """Return the largest height and width of a window in frames of `shape` (H, W, ...)."""
        tenths = [max(2, min(side // 10, RECEPTIVE_FIELD_PIXELS - 1)) for side in shape[:2]]
        height, width = (min(side, self.max_side or tenth) for side, tenth in zip(shape[:2], tenths, strict=True))
        return height, width

    def randomize(self, data: Sequence[int]) -> None:
        """Draw sizes, positions and orders for a slice of shape `data` (H, W, T)."""
        height, width, frames = data
        count = self.windows_per_frame
        self._sides = np.stack([self.R.randint(1, largest + 1, count) for largest in self.largest_sides(data)], axis=1)
        room = np.array([height, width]) - self._sides + 1
        self._starts = (self.R.random_sample((count, frames, 2)) * room[:, None]).astype(np.intp)
        self._orders = [
            (self._permutations(frames, h * w),)
            if self.mode == "pixels"
            else (self._permutations(frames, h), self._permutations(frames, w))
            for h, w in zip(*self._sides.T.tolist(), strict=True)
        ]

    def _permutations(self, frames: int, length: int) -> np.ndarray:
        return self.R.random_sample((frames, length)).argsort(axis=1)

    def corrupt(self, cine: np.ndarray) -> np.ndarray:
        """Return `cine` (C, H, W, T) with its windows shuffled."""
        shuffled = cine.copy()
        _, height, width, frames = cine.shape
        grid = np.arange(height * width).reshape(height, width) * frames  # of one frame in a frame-last array
        starts = (self._starts @ np.array([width, 1]) * frames + np.arange(frames))[..., None, None]
        for before, after in zip(cine.reshape(len(cine), -1), shuffled.reshape(len(cine), -1), strict=True):
            # All reading before all writing keeps one array at a time in the processor's cache.
            moved = [before[source] for source in self._sources(grid, starts)]
            for (h, w), start, pixels in zip(self._sides.tolist(), starts, moved, strict=True):
                after[grid[:h, :w] + start] = pixels
        return shuffled

    def _sources(self, grid: np.ndarray, starts: np.ndarray) -> Iterator[np.ndarray]:
        """Yield for each window the (T, h, w) flat positions that its pixels come from."""
        for (h, w), start, orders in zip(self._sides.tolist(), starts, self._orders, strict=True):
            if self.mode == "pixels":
                yield grid[:h, :w].ravel()[orders[0]].reshape(-1, h, w) + start
            else:
                rows, columns = grid[:h, 0][orders[0]], grid[0, :w][orders[1]]
                yield rows[:, :, None] + (columns[:, None] + start)


class CoverPatches(CineCorruption):
    """Replaces 1 to `max_patches` rectangles of every frame by random values.

    "Random values" are standard normal, one a pixel: the slices are z-scored, so that a covered patch has the mean
    and spread of a slice and gives itself away by its texture alone. Among all rectangles whose area lies strictly
    between the bounds, every size in pixels is as likely as any other, which makes the area uniform and the aspect
    ratio log-uniform, and leaves nothing to rounding.

    Args:
        max_patches: most patches in a frame.
        area: smallest and largest area of a patch, as fractions of the frame's; both excluded.
        max_aspect: largest ratio of a patch's sides, each measured as a fraction of the frame's.

    Raises:
        ValueError: for bounds out of order, no patch, an aspect below 1, or (when called) a frame too small for any
            rectangle of such an area.

    References:
        Zhong et al., EMBC 2021, section III.B: one thirty-sixth to one ninth, no more than 5 in a frame.

    Example:
        >>> import numpy as np
        >>> from common.cine import CoverPatches
        >>> covered = CoverPatches(max_patches=1).set_random_state(0)(np.zeros((1, 60, 60, 4), np.float32))
        >>> fraction = (covered != 0).mean(axis=(0, 1, 2))
        >>> bool((fraction > 1 / 36).all() and (fraction < 1 / 9).all())
        True
    """

    def __init__(
        self, max_patches: int = 5, area: tuple[float, float] = (1 / 36, 1 / 9), max_aspect: float = 2.0
    ) -> None:
        if max_patches < 1:
            raise ValueError(f"max_patches: expected at least 1, found {max_patches}")
        if not 0 <= area[0] < area[1] <= 1:
            raise ValueError(f"area: expected two rising fractions of the frame between 0 and 1, found {area}")
        if max_aspect < 1:
            raise ValueError(f"max_aspect: expected at least 1, found {max_aspect}")
        self.max_patches, self.area, self.max_aspect = max_patches, (area[0], area[1]), max_aspect
        self._patches: list[tuple[int, int, int, int, int]] = []
        self._seed = 0

    def possible_sides(self, shape: Sequence[int]) -> np.ndarray:
        """Return every (height, width) that a patch may have in frames of `shape` (H, W, ...), as an (N, 2) array.

        Raises:
            ValueError: if there is none.
        """
        height, width = shape[:2]
        sides = np.stack(np.meshgrid(np.arange(1, height + 1), np.arange(1, width + 1), indexing="ij"), -1)
        fractions = sides / (height, width)
        fraction, aspect = fractions.prod(-1), np.abs(np.log(fractions[..., 0] / fractions[..., 1]))
        inside = (fraction > self.area[0] + 1e-9) & (fraction < self.area[1] - 1e-9)
        fits = inside & (aspect <= np.log(self.max_aspect) + 1e-9)
        if not fits.any():
            raise ValueError(
                f"expected frames that hold a rectangle of {self.area[0]:.3f} to {self.area[1]:.3f} of their area, "
                f"found {height} x {width} pixels; use larger frames or wider bounds"
            )
        return sides[fits]

    def randomize(self, data: Sequence[int]) -> None:
        """Draw number, sizes and positions of the patches of each frame, and a seed for their values."""
        height, width, frames = data
        sides = self.possible_sides(data)
        frame = np.repeat(np.arange(frames), self.R.randint(1, self.max_patches + 1, frames))
        chosen = sides[self.R.randint(len(sides), size=len(frame))]
        start = (self.R.random_sample(chosen.shape) * (np.array([height, width]) - chosen + 1)).astype(int)
        self._patches = [tuple(row) for row in np.column_stack([frame, start, start + chosen]).tolist()]
        self._seed = int(self.R.randint(2**31))

    def corrupt(self, cine: np.ndarray) -> np.ndarray:
        """Return `cine` (C, H, W, T) with its patches covered."""
        covered = cine.copy()
        values = np.random.default_rng(self._seed)
        for frame, top, left, bottom, right in self._patches:
            noise = values.standard_normal((len(cine), bottom - top, right - left), dtype=np.float32)
            covered[:, top:bottom, left:right, frame] = noise
        return covered


class CoverFrames(CineCorruption):
    """Replaces groups of consecutive frames by random values: standard normal, one a pixel, as in z-scored slices.

    Two groups never touch, so that no more than `max_length` frames in a row are gone. At most half of the frames are
    covered: in short cines the groups that would go beyond are left out, and no group is longer than that half.

    Args:
        groups: groups in a slice.
        max_length: most frames in a group; lengths are uniform in 1..`max_length`.

    Raises:
        ValueError: for no group, no length, or (when called) a slice of fewer than 2 frames.

    References:
        Zhong et al., EMBC 2021, section III.B: five groups of no more than three frames.

    Example:
        >>> import numpy as np
        >>> from common.cine import CoverFrames
        >>> cover = CoverFrames().set_random_state(0)
        >>> covered = cover(np.zeros((1, 16, 16, 40), np.float32))
        >>> [frame for frame in range(40) if covered[..., frame].any()] == cover.frames
        True
    """

    def __init__(self, groups: int = 5, max_length: int = 3) -> None:
        if groups < 1 or max_length < 1:
            raise ValueError(f"expected at least 1 group of at least 1 frame, found {groups=}, {max_length=}")
        self.groups, self.max_length = groups, max_length
        self.frames: list[int] = []
        self._seed = 0

    def randomize(self, data: Sequence[int]) -> None:
        """Draw the covered `frames` of a slice of shape `data` (H, W, T), and a seed for their values."""
        total = data[-1]
        most = total // 2
        if most < 1:
            raise ValueError(f"expected a slice of at least 2 frames, found {total}; one frame has nothing to follow")
        lengths = self.R.randint(1, min(self.max_length, most) + 1, self.groups)
        lengths = lengths[: np.searchsorted(lengths.cumsum(), most, side="right")]
        # Between the groups lies one frame at least; the positions of the rest are a uniform choice among all of them.
        free = total - lengths.sum() - (len(lengths) - 1)
        gaps = np.sort(self.R.choice(free + len(lengths), len(lengths), replace=False))
        starts = gaps + np.concatenate([[0], lengths.cumsum()[:-1]])
        self.frames = [int(s) + i for s, n in zip(starts, lengths, strict=True) for i in range(n)]
        self._seed = int(self.R.randint(2**31))

    def corrupt(self, cine: np.ndarray) -> np.ndarray:
        """Return `cine` (C, H, W, T) with its frames covered."""
        covered = cine.copy()
        shape = (*cine.shape[:-1], len(self.frames))
        covered[..., self.frames] = np.random.default_rng(self._seed).standard_normal(shape, dtype=np.float32)
        return covered


def _as_float_array(img: NdarrayOrTensor) -> np.ndarray:
    """Return `img` as a floating-point array in C order, not a copy if it is one already."""
    if img.ndim != 4:
        raise ValueError(f"expected a slice of shape (1, H, W, T), found {tuple(img.shape)}")
    array = convert_data_type(img, np.ndarray)[0]
    return np.ascontiguousarray(array, dtype=array.dtype if array.dtype.kind == "f" else np.float32)


def _is_integer(img: NdarrayOrTensor) -> bool:
    return not (img.is_floating_point() if isinstance(img, torch.Tensor) else img.dtype.kind == "f")
