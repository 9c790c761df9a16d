from types import SimpleNamespace

import numpy as np

from common.echo.sector import crop_to_sector, mask_to_region, sector_mask


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


def region(min_x, min_y, max_x, max_y, data_type=1):
    return SimpleNamespace(min_x=min_x, min_y=min_y, max_x=max_x, max_y=max_y, spatial_format=1, data_type=data_type)


def test_finds_the_fan_and_no_text():
    frames, fan = screen()
    mask = sector_mask(frames)
    assert (mask & fan).sum() > 0.95 * fan.sum()
    assert not mask[3:10, 4:30].any() and not mask[:, 155:158].any()
    assert (mask & ~fan).sum() < 0.05 * fan.sum()


def test_blackens_what_is_outside_the_fan():
    frames, fan = screen()
    cut = crop_to_sector(frames)
    assert cut.shape[1] < 100 and cut.shape[2] < 130
    assert not cut[:, 0, 0].any()
    assert cut.sum() > 0.95 * frames[:, fan].sum()


def test_cuts_to_the_tissue_region():
    frames, _ = screen()
    frames[:, 110:118, 20:60] = np.random.default_rng(1).integers(0, 250, (8, 8, 40, 3))  # an ECG trace moves too
    cut = mask_to_region(frames, [region(0, 108, 159, 119, data_type=10), region(5, 10, 150, 105)])
    assert cut.shape[1] <= 96 and cut.shape[2] <= 146


def test_looks_for_the_fan_where_regions_are_missing_or_too_large_for_the_image():
    frames, _ = screen()
    expected = crop_to_sector(frames)
    np.testing.assert_array_equal(mask_to_region(frames, []), expected)
    np.testing.assert_array_equal(mask_to_region(frames, [region(84, 31, 595, 414)]), expected)


def test_leaves_a_still_picture_as_it_is():
    frames = np.full((3, 20, 20, 3), 90, np.uint8)
    np.testing.assert_array_equal(crop_to_sector(frames), frames)
