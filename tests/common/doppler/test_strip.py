import numpy as np
import pytest

from common.doppler import find_strip, find_strips
from common.doppler.phantoms.cart import draw_cart_screen
from common.doppler.reader import LUMA
from common.doppler.strip import SURE, Comb, _comb

RNG = np.random.default_rng(0)


def screen(side=1, minor=False, time_ticks=True):
    """A bare 300 x 400 screen: baseline in row 200, columns 40 to 339; ticks of 30 rows; time ticks of 20 columns."""
    pixels = np.zeros((300, 400), np.float32)
    pixels[110:260, 43:337] = 0.3 * RNG.random((150, 294)) ** 3  # grain that touches ticks would lengthen them
    pixels[200, 40:340] = 0.8
    edge = 340 if side > 0 else 39
    for index, row in enumerate(range(110, 261, 15 if minor else 30)):
        length = 4 if minor and index % 2 else 8
        columns = range(edge, edge + side * length, side)
        pixels[row, list(columns)] = 0.9
    if time_ticks:
        for index, column in enumerate(range(40, 340, 20)):
            pixels[260 - (9 if index % 5 == 0 else 4) : 260, column] = 0.9
    return pixels


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("minor", [False, True])
def test_finds_rectangle_baseline_and_both_scales(side, minor):
    strip = find_strip(screen(side, minor))
    assert strip.box[0] == pytest.approx(40, abs=1) and strip.box[2] == pytest.approx(339, abs=1)
    assert strip.box[1] == pytest.approx(110, abs=3) and strip.box[3] == pytest.approx(259, abs=1)
    assert strip.baseline_row == pytest.approx(200, abs=0.2)
    assert strip.px_per_tick == pytest.approx(30, abs=0.1)
    assert strip.px_per_time_tick == pytest.approx(100, abs=0.5)
    assert strip.confidence > 0.9


def test_calibration_is_the_distance_of_ticks_over_their_pixels():
    assert find_strip(screen()).calibration(20.0, 1.0) == pytest.approx((200, 20 / 30, 1 / 100), rel=5e-3)


def test_time_is_unknown_without_time_ticks():
    strip = find_strip(screen(time_ticks=False))
    assert np.isnan(strip.px_per_time_tick) and strip.px_per_tick == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize(("marks", "has_long"), [([47, 113, 171, 229], True), ([47, 113, 171, 229], False)])
def test_marks_between_time_ticks_are_no_objection_where_some_ticks_are_longer(marks, has_long):
    pixels = screen()
    pixels[256:260, marks] = 0.9  # as short as the ticks
    if not has_long:
        pixels[251:256, 40:340] = 0
    strip = find_strip(pixels)
    assert strip.px_per_time_tick == pytest.approx(100, abs=0.5) if has_long else np.isnan(strip.px_per_time_tick)


def test_a_tilted_or_missing_baseline_is_none_to_rely_on():
    tilted = screen()
    tilted[200, 40:340] = tilted[205, 40:340]
    for column in range(40, 340):
        tilted[195 + column // 34, column] = 0.8
    strip = find_strip(tilted)
    assert strip is None or strip.confidence < SURE


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((200, 300)), np.ones((200, 300)), np.random.default_rng(1).random((200, 300)), np.zeros((3, 3))],
    ids=["black", "white", "noise", "tiny"],
)
def test_finds_nothing_where_there_is_nothing(pixels):
    strip = find_strip(pixels.astype(np.float32))
    assert strip is None or strip.confidence < SURE


def test_a_comb_keeps_its_pitch_with_a_gap_and_a_stray_mark():
    sizes = np.zeros(200)
    sizes[[10, 30, 50, 90, 110, 130]] = 5
    sizes[62] = 4
    comb = _comb(sizes)
    assert comb.pitch_px == pytest.approx(20) and comb.found == pytest.approx(6 / 8)
    assert _comb(np.zeros(50)) is None


def two(vertical):
    """Two bare screens above or beside each other, the second one with ticks of 15 and without time ticks."""
    return np.concatenate([screen(), screen(minor=True, time_ticks=False)], axis=0 if vertical else 1)


@pytest.mark.parametrize(("vertical", "shift"), [(True, (0, 300)), (False, (400, 0))])
def test_finds_two_strips_above_or_beside_each_other(vertical, shift):
    strips = sorted(find_strips(two(vertical)), key=lambda strip: strip.box)
    assert len(strips) == 2
    for strip, (right, down) in zip(strips, [(0, 0), shift], strict=True):
        assert strip.box[0] == pytest.approx(40 + right, abs=1) and strip.box[2] == pytest.approx(339 + right, abs=1)
        assert strip.baseline_row == pytest.approx(200 + down, abs=0.2) and strip.confidence > SURE


def test_finds_one_strip_below_or_beside_a_2d_image():
    drawn = draw_cart_screen(np.random.default_rng(1))
    left, top, right, bottom = drawn.sector
    image = (drawn.pixels @ (LUMA / 255)).astype(np.float32)[top : bottom + 1, left : right + 1]
    for axis in (0, 1):
        picture = np.zeros((700, 800), np.float32)
        below, beside = (300, 0) if axis == 0 else (0, 390)
        picture[:300, :390] = np.pad(image, ((0, 300), (0, 390)))[:300, :390]
        picture[below : below + 300, beside : beside + 400] = screen()
        (strip,) = find_strips(picture)
        assert strip.baseline_row == pytest.approx(200 + below, abs=0.2)
        assert strip.box[2] == pytest.approx(339 + beside, abs=1)


def test_what_it_is_sure_of_on_whole_screens_is_right():
    """Never wrong by more than a row or 1 % of the scale where it is sure, and sure of most."""
    sure = right = 0
    for seed in range(12):
        drawn = draw_cart_screen(np.random.default_rng([5, seed]))
        strip = find_strip((drawn.pixels @ (LUMA / 255)).astype(np.float32))
        if strip is None or strip.confidence < SURE:
            continue
        sure += 1
        scale = drawn.tick_cm_s / strip.px_per_tick
        is_near = abs(strip.baseline_row - drawn.layout.baseline_row) < 1.1
        right += is_near and abs(scale / drawn.layout.cm_s_per_px - 1) < 0.01
    assert sure >= 9 and right == sure


def test_a_calipers_cross_on_the_baseline_does_not_end_the_strip():
    marked = screen()
    marked[200, 176:196] = 0.4
    marked[190:211, 186] = 0.9
    strip = find_strip(marked)
    assert strip.box[0] == pytest.approx(40, abs=1) and strip.confidence > SURE


def test_a_baseline_from_the_first_column_on_is_one():
    strip = find_strip(screen()[:, 40:])
    assert strip.box[0] == pytest.approx(0, abs=1) and strip.confidence > 0.9


def test_a_pitch_between_two_whole_numbers_is_found():
    sizes = np.zeros(720, int)
    sizes[np.floor(337 + 12.5 * np.delete(np.arange(31), 20)).astype(int)] = 6
    comb = _comb(sizes)
    assert comb.pitch_px == pytest.approx(12.5, abs=0.02) and len(comb.numbers) == 30


@pytest.mark.parametrize(
    ("lengths", "long_every"),
    [
        ((8,), None),
        ((8, 4), 2),
        ((10, 5, 5), 3),
        ((11, 4, 7, 4), 4),
        ((10, 5, 5, 5, 5), 5),
        ((11, 4, 4, 4, 4, 7, 4, 4, 4, 4), 10),
    ],
)
def test_the_longest_kind_of_ticks_is_the_numbered_one(lengths, long_every):
    numbers = np.arange(-12, 15)
    sizes = np.array([lengths[number % len(lengths)] for number in numbers], float)
    comb = Comb(200.0, 7.5, numbers, sizes, 1.0)
    for zero in (0, None):
        assert comb.long_pitch_px(zero) == pytest.approx(7.5 * long_every if long_every else np.nan, nan_ok=True)


def test_minus_signs_beside_the_ticks_are_not_the_scale():
    pixels = screen(minor=True)
    # The signs lie a row higher than the ticks, and in that row the baseline begins later.
    pixels[199, 90:340] = 0.8
    for row in range(109, 260, 30):
        pixels[row, 352:357] = 0.9
    strip = find_strip(pixels)
    assert strip.box == pytest.approx([40, 110, 339, 259], abs=2) and strip.baseline_row == pytest.approx(200, abs=0.2)
