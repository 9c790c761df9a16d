from types import SimpleNamespace

import numpy as np
import pytest

from common.echo.sector import find_sector, sector_mask, tissue_region, turns_to_upright


def screen(seed=0, shape=(8, 120, 160)):
    """A fan of moving speckle, a still text block and still scale marks, in RGB; and where the fan is."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    angle, radius = np.arctan2(columns - 80, rows - 15), np.hypot(columns - 80, rows - 15)
    fan = (np.abs(angle) < 0.7) & (radius < 90)
    frames = np.zeros(shape, np.uint8)
    frames[:, fan] = rng.integers(0, 120, (shape[0], int(fan.sum())))
    frames[:, 3:10, 4:30] = 200
    frames[:, ::10, 155:158] = 255
    return np.repeat(frames[..., None], 3, 3), fan


def region(min_x, min_y, max_x, max_y, data_type=1, missing=()):
    return SimpleNamespace(
        min_x=min_x,
        min_y=min_y,
        max_x=max_x,
        max_y=max_y,
        spatial_format=1,
        data_type=data_type,
        missing=missing,
    )


def test_finds_the_fan_and_no_text():
    frames, fan = screen()
    mask = sector_mask(frames)
    assert (mask & fan).sum() > 0.95 * fan.sum()
    assert not mask[3:10, 4:30].any() and not mask[:, 155:158].any()
    assert (mask & ~fan).sum() < 0.05 * fan.sum()


def test_blackens_what_is_outside_the_fan():
    frames, fan = screen()
    cut = find_sector(frames)[0].apply(frames)
    assert cut.shape[1] < 100 and cut.shape[2] < 130
    assert not cut[:, 0, 0].any()
    assert cut.sum() > 0.95 * frames[:, fan].sum()


def test_looks_in_the_region_only():
    frames, _ = screen()
    cut, _ = find_sector(frames, region(40, 30, 120, 80))
    assert (cut.top, cut.bottom, cut.left, cut.right) == (30, 81, 40, 121)


def test_takes_the_largest_whole_tissue_region_within_the_image():
    tissue, small, ecg = region(5, 10, 150, 105), region(5, 10, 30, 30), region(0, 108, 159, 119, data_type=10)
    outside, broken = region(84, 31, 595, 414), region(0, 0, 159, 119, missing=("PhysicalUnitsYDirection",))
    assert tissue_region([ecg, small, outside, broken, tissue], 120, 160) is tissue
    assert tissue_region([ecg], 120, 160) is ecg
    assert tissue_region([outside, broken], 120, 160) is None


def test_a_still_picture_has_no_sector():
    cut, mask = find_sector(np.full((3, 20, 20, 3), 90, np.uint8))
    assert cut is None and not mask.any()


def small_fan(size=112):
    """As EchoNet has it: a fan that fills a square frame, black outside."""
    rows, columns = np.mgrid[:size, :size] / size
    fan = (np.abs(np.arctan2(columns - 0.5, rows)) < 0.7) & (np.hypot(columns - 0.5, rows) < 0.95)
    frames = np.random.default_rng(2).integers(0, 200, (8, size, size)) * fan
    return np.repeat(frames[..., None], 3, 3).astype(np.uint8)


@pytest.mark.parametrize("size", [48, 112])
def test_leaves_frames_of_the_published_size_as_they_are_but_for_text(size):
    frames = small_fan(size)
    cut, mask = find_sector(frames)
    assert cut is None and mask.shape == (size, size) and mask.mean() > 0.4
    frames[:, 1 : size // 16, 1 : size // 5] = 220  # a name in the corner
    cut, _ = find_sector(frames)
    assert not cut.apply(frames)[:, : size // 16, : size // 8].any()


def test_cuts_larger_frames_without_text_too():
    assert find_sector(small_fan(128))[0].bottom < 126


@pytest.mark.parametrize("half_angle", [0.5, 0.65, 0.8])
@pytest.mark.parametrize("flat_top", [0, 12])
def test_turns_the_apex_to_the_top(half_angle, flat_top):
    """Whole, cut at an edge of the screen, with a corner in the dark, or as a curved array shows it."""
    rows, columns = np.mgrid[:200, :240] - np.array([10 - flat_top, 120])[:, None, None]
    fan = (np.abs(np.arctan2(columns, rows)) < half_angle) & (np.hypot(rows, columns) < 180) & (rows > flat_top)
    dark_corner = fan & ~((columns > 60) & (rows > 120))
    for mask in (fan, fan[:, 30:210], dark_corner):
        for turned in range(4):
            back = turns_to_upright(np.rot90(mask, turned))
            assert (turned + back) % 4 == 0


def test_a_picture_without_an_apex_is_not_turned():
    rows, columns = np.mgrid[:100, :100] - 50
    for mask in (np.zeros((50, 50), bool), np.ones((60, 90), bool), np.hypot(rows, columns) < 40):
        assert [turns_to_upright(np.rot90(mask, turned)) for turned in range(4)] == [0, 0, 0, 0]
