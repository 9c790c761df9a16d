import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.cine import CoverFrames, CoverPatches, LocalPixelShuffle

SHAPE = (1, 48, 36, 10)


def numbered(shape=SHAPE):
    """A cine in which every pixel has a value of its own."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def corrupted(corruption, cine, seed=0):
    return corruption.set_random_state(seed=seed)(cine)


ALL = pytest.mark.parametrize("make", [LocalPixelShuffle, CoverPatches, CoverFrames])


@ALL
def test_one_seed_gives_one_result_and_another_seed_another(make):
    cine = numbered()
    assert np.array_equal(corrupted(make(), cine, 1), corrupted(make(), cine, 1))
    assert not np.array_equal(corrupted(make(), cine, 1), corrupted(make(), cine, 2))


@ALL
def test_leaves_its_input_as_it_was(make):
    cine = numbered()
    corrupted(make(), cine)
    assert np.array_equal(cine, numbered())


@ALL
def test_tensors_give_what_arrays_give_and_keep_their_kind(make):
    expected = corrupted(make(), numbered())
    tensor = corrupted(make(), torch.from_numpy(numbered()))
    meta = corrupted(make(), MetaTensor(numbered(), meta={"case": "p1"}))
    assert type(tensor) is torch.Tensor and tensor.dtype == torch.float32
    assert isinstance(meta, MetaTensor) and meta.meta["case"] == "p1"
    assert np.array_equal(tensor.numpy(), expected) and np.array_equal(meta.numpy(), expected)


@ALL
def test_a_view_with_time_in_front_gives_what_its_copy_gives(make):
    view = torch.from_numpy(np.ascontiguousarray(numbered().transpose(0, 3, 1, 2))).permute(0, 2, 3, 1)
    assert not view.is_contiguous()
    assert np.array_equal(corrupted(make(), view).numpy(), corrupted(make(), numbered()))


@ALL
def test_integer_pixels_become_float32(make):
    cine = numbered().astype(np.int16)
    assert corrupted(make(), cine).dtype == np.float32
    assert corrupted(make(), torch.from_numpy(cine)).dtype == torch.float32


@ALL
def test_repeats_the_last_draw_on_request(make):
    corruption = make().set_random_state(seed=3)
    first = corruption(numbered())
    assert np.array_equal(corruption(numbered(), randomize=False), first)


@ALL
def test_refuses_a_slice_without_channel(make):
    with pytest.raises(ValueError, match=r"shape \(1, H, W, T\), found \(4, 5, 6\)"):
        make()(np.zeros((4, 5, 6), np.float32))


@pytest.mark.parametrize("mode", ["permute", "pixels"])
def test_shuffling_moves_pixels_within_their_window_of_their_frame_only(mode):
    cine = numbered()
    shuffle = LocalPixelShuffle(windows_per_frame=1, max_side=9, mode=mode)
    for seed in range(20):
        result = corrupted(shuffle, cine, seed)
        (h, w), places = shuffle._sides[0], shuffle._starts[0]
        for t, (r, c) in enumerate(places):
            window = (0, slice(r, r + h), slice(c, c + w), t)
            assert sorted(result[window].ravel()) == sorted(cine[window].ravel())
            rest = np.ones(SHAPE[1:3], bool)
            rest[window[1:3]] = False
            assert np.array_equal(result[0, ..., t][rest], cine[0, ..., t][rest])


def test_permuting_is_equation_1_with_permutation_matrices():
    cine = numbered((1, 30, 40, 4))
    shuffle = LocalPixelShuffle(windows_per_frame=3, max_side=12)
    result = corrupted(shuffle, cine, 5)
    expected = cine.copy()
    for t in range(4):
        for (h, w), starts, (rows, columns) in zip(shuffle._sides, shuffle._starts, shuffle._orders, strict=True):
            r, c = starts[t]
            left, right = np.eye(h)[rows[t]], np.eye(w)[:, columns[t]]
            assert (left.sum(0) == 1).all() and (right.sum(1) == 1).all()
            expected[0, r : r + h, c : c + w, t] = left @ cine[0, r : r + h, c : c + w, t] @ right
    assert np.array_equal(result, expected)


def test_permuting_keeps_rows_together_and_pixel_mode_does_not():
    cine = numbered((1, 30, 30, 2))

    def rows_kept(mode):
        shuffle = LocalPixelShuffle(1, 29, mode).set_random_state(seed=8)
        result = shuffle(cine)
        (h, w), (r, c) = shuffle._sides[0], shuffle._starts[0, 0]
        assert h > 3 and w > 3
        window = result[0, r : r + h, c : c + w, 0]
        return all(len(np.unique(row // 60)) == 1 for row in window)  # a row of the frame spans 60 numbers

    assert rows_kept("permute") and not rows_kept("pixels")


def test_each_frame_has_places_and_orders_of_its_own():
    shuffle = LocalPixelShuffle(1, 20)
    corrupted(shuffle, numbered((1, 288, 288, 40)), 4)
    assert len({tuple(place) for place in shuffle._starts[0]}) > 35
    assert len({tuple(order) for order in shuffle._orders[0][0]}) > 35


def test_places_and_sides_are_uniform_over_all_that_fit():
    shuffle = LocalPixelShuffle(windows_per_frame=4000, max_side=5)
    corrupted(shuffle, numbered((1, 12, 9, 2)))
    heights = np.bincount(shuffle._sides[:, 0], minlength=6)[1:] / 4000
    assert np.allclose(heights, 1 / 5, atol=0.03)
    places = shuffle._starts[shuffle._sides[:, 0] == 5][..., 0].ravel()
    assert np.allclose(np.bincount(places, minlength=8) / places.size, 1 / 8, atol=0.04)


def test_every_permutation_is_as_likely_as_any_other():
    shuffle = LocalPixelShuffle(windows_per_frame=1500, max_side=3)
    corrupted(shuffle, numbered((1, 12, 9, 8)))
    orders = np.concatenate([rows for rows, _ in shuffle._orders if rows.shape[1] == 3])
    counts = np.unique(orders, axis=0, return_counts=True)[1] / len(orders)
    assert len(counts) == 6 and np.allclose(counts, 1 / 6, atol=0.03)


@pytest.mark.parametrize(
    ("shape", "expected"), [((288, 240), (28, 24)), ((8, 35), (2, 3)), ((1, 2), (1, 2)), ((2000, 1400), (139, 139))]
)
def test_windows_stay_below_a_tenth_of_the_side_and_the_receptive_field(shape, expected):
    assert LocalPixelShuffle().largest_sides(shape) == expected


def test_shuffles_frames_of_less_than_ten_pixels():
    result = corrupted(LocalPixelShuffle(20), numbered((1, 7, 5, 3)))
    assert not np.array_equal(result, numbered((1, 7, 5, 3)))
    assert np.array_equal(result % 3, numbered((1, 7, 5, 3)) % 3)  # every pixel comes from its own frame


def test_overlapping_windows_read_the_original_and_the_later_one_wins_whole():
    cine = numbered((1, 12, 12, 1))
    shuffle = LocalPixelShuffle(windows_per_frame=60, max_side=11)
    result = corrupted(shuffle, cine, 2)
    (h, w), (r, c) = shuffle._sides[-1], shuffle._starts[-1, 0]
    window = (0, slice(r, r + h), slice(c, c + w), 0)
    assert sorted(result[window].ravel()) == sorted(cine[window].ravel())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "rows"}, "'permute' or 'pixels', found 'rows'"),
        ({"windows_per_frame": 0}, "at least 1, found 0"),
        ({"max_side": 140}, "expected 1 to 139 pixels"),
        ({"max_side": 0}, "expected 1 to 139 pixels"),
    ],
)
def test_shuffling_refuses_settings_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocalPixelShuffle(**arguments)


def test_patches_are_as_many_and_as_large_as_the_paper_says():
    cover = CoverPatches()
    numbers = set()
    for seed in range(30):
        result = corrupted(cover, numbered((1, 50, 41, 10)), seed)
        changed = np.zeros((50, 41, 10), bool)
        for frame, top, left, bottom, right in cover._patches:
            area = (bottom - top) * (right - left) / (50 * 41)
            assert 1 / 36 < area < 1 / 9
            assert 0 <= top < bottom <= 50 and 0 <= left < right <= 41
            changed[top:bottom, left:right, frame] = True
        assert np.array_equal(result[0] != numbered((1, 50, 41, 10))[0], changed)
        counts = np.bincount([patch[0] for patch in cover._patches], minlength=10)
        assert len(counts) == 10 and counts.min() >= 1
        numbers |= set(counts)
    assert numbers == {1, 2, 3, 4, 5}


def test_patch_areas_are_uniform_and_shapes_vary_both_ways():
    cover = CoverPatches()
    corrupted(cover, np.zeros((1, 144, 144, 400), np.float32), 0)
    patches = np.array(cover._patches)
    height, width = patches[:, 3] - patches[:, 1], patches[:, 4] - patches[:, 2]
    quarters = np.histogram(height * width / 144**2, bins=4, range=(1 / 36, 1 / 9))[0] / len(patches)
    assert np.allclose(quarters, 0.25, atol=0.05)
    aspects = np.log2(height / width)
    assert -1.01 < aspects.min() < -0.9 and 0.9 < aspects.max() < 1.01 and abs(aspects.mean()) < 0.1


@pytest.mark.parametrize("shape", [(1, 6, 6, 3), (1, 9, 30, 2), (1, 288, 160, 2)])
def test_area_bounds_hold_after_rounding_for_any_frame(shape):
    pixels = CoverPatches().possible_sides(shape[1:]).prod(1)
    assert pixels.size and 36 * pixels.min() > shape[1] * shape[2] > 9 * pixels.max()


def test_patches_refuse_frames_too_small_for_one():
    with pytest.raises(ValueError, match="found 2 x 2 pixels; use larger frames"):
        CoverPatches()(np.zeros((1, 2, 2, 3), np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_patches": 0}, "at least 1, found 0"),
        ({"area": (0.2, 0.1)}, "two rising fractions"),
        ({"max_aspect": 0.5}, "at least 1, found 0.5"),
    ],
)
def test_patches_refuse_settings_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        CoverPatches(**arguments)


@pytest.mark.parametrize("make", [CoverPatches, CoverFrames])
def test_covering_values_are_standard_normal(make):
    cine = np.full((1, 96, 96, 30), 50, np.float32)
    result = corrupted(make(), cine)
    values = result[result != 50]
    assert abs(values.mean()) < 0.02 and abs(values.std() - 1) < 0.02
    assert np.unique(values).size > 0.9 * values.size


def covered_runs(frames, total):
    flags = np.zeros(total + 2, int)
    flags[np.asarray(frames) + 1] = 1
    edges = np.flatnonzero(np.diff(flags))
    return edges[1::2] - edges[::2]


def test_covers_five_groups_of_one_to_three_frames_that_never_touch():
    cover, lengths, covered = CoverFrames(), [], []
    for seed in range(300):
        corrupted(cover, np.zeros((1, 2, 2, 40), np.float32), seed)
        runs = covered_runs(cover.frames, 40)
        assert len(runs) == 5 and runs.max() <= 3
        lengths += list(runs)
        covered += cover.frames
    assert np.allclose(np.bincount(lengths)[1:] / len(lengths), 1 / 3, atol=0.05)
    assert set(covered) == set(range(40))


def test_covers_whole_frames_and_no_others():
    cover = CoverFrames()
    result = corrupted(cover, numbered((1, 12, 12, 40)), 7)
    changed = (result != numbered((1, 12, 12, 40)))[0]
    assert sorted(np.flatnonzero(changed.any((0, 1)))) == sorted(cover.frames)
    assert changed[..., cover.frames].all()


@pytest.mark.parametrize("frames", range(2, 14))
def test_never_covers_more_than_half_of_a_short_cine(frames):
    cover = CoverFrames()
    for seed in range(40):
        corrupted(cover, np.zeros((1, 2, 2, frames), np.float32), seed)
        assert 1 <= len(cover.frames) <= frames // 2
        assert len(set(cover.frames)) == len(cover.frames) and max(cover.frames) < frames


def test_frames_refuse_a_still_image_and_empty_settings():
    with pytest.raises(ValueError, match="at least 2 frames, found 1"):
        CoverFrames()(np.zeros((1, 4, 4, 1), np.float32))
    with pytest.raises(ValueError, match="found groups=0"):
        CoverFrames(groups=0)
    with pytest.raises(ValueError, match="max_length=0"):
        CoverFrames(max_length=0)
