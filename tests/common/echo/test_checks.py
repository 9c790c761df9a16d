import numpy as np
import pytest

from common.echo.checks import check_content, check_interval, check_length, time_doubts
from common.echo.phantom import random_case
from common.echo.phantoms.heart import render
from common.errors import UnusableFileError


def heart(seed=0, size=48, count=12):
    generator = np.random.default_rng(seed)
    case, probe = random_case(generator, size)
    return np.repeat(render(case, probe, np.arange(count) * 0.1, generator)[..., None], 3, axis=3)


def static(frames):
    return np.repeat(frames[:1], len(frames), axis=0)


@pytest.mark.parametrize("size", [32, 48, 112])
def test_finds_nothing_doubtful_in_hearts_of_every_kind(size):
    for seed in range(12):
        frames = heart(seed, size)
        assert check_content(frames, "a.avi") == []
        assert check_content(frames // 2, "a.avi") == []


NOISE = np.random.default_rng(1).integers(0, 2, (12, 48, 48, 1)).astype(np.uint8)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.zeros((12, 48, 48, 3), np.uint8), "a picture of the heart, found 0.0% lit pixels only"),
        (np.repeat(NOISE, 3, axis=3), "0.0% lit pixels only"),  # a range of 0 to 1 that was taken for 0 to 255
        (np.full((12, 48, 48, 3), 255, np.uint8), "grey levels, found 100.0% saturated pixels"),
        (np.full((12, 48, 48, 3), 90, np.uint8), "frames of one grey level"),
        (static(heart()), "a moving heart, found 0.0% of the picture moving: it stands still"),
        (static(heart()) + 2 * np.repeat(NOISE, 3, axis=3), "stands still"),  # the coding's noise
    ],
    ids=["black", "unit range", "white", "flat", "still", "coded still"],
)
def test_refuses_what_is_no_moving_picture(frames, said):
    with pytest.raises(UnusableFileError, match=rf"a\.avi: expected .*{said}.*; choose the apical"):
        check_content(frames, "a.avi")


def test_refuses_and_doubts_what_uses_few_grey_levels():
    with pytest.raises(UnusableFileError, match=r"expected grey levels to 255, found .*% of them used"):
        check_content(heart() // 10, "a.avi")
    assert "of them used" in check_content(heart() // 4, "a.avi")[0]


def test_doubts_exchanged_black_and_white_at_any_contrast():
    for frames in (255 - heart(), 240 - heart() // 10 * 9, 128 - heart() // 2):
        [doubt] = [doubt for doubt in check_content(frames, "a.avi") if "saturated" not in doubt]
        assert doubt == "its corners are brighter than its picture, as if black and white were exchanged"


def test_doubts_a_picture_that_freezes_but_not_one_whose_frames_are_doubled():
    frames = heart(count=20)
    frozen = np.concatenate([frames[:10], np.repeat(frames[10:11], 50, axis=0)])
    assert check_content(frozen, "a.avi") == ["it stands still from frame to frame for 50 frames in a row"]
    assert check_content(np.repeat(frames, 3, axis=0), "a.avi") == []


def test_refuses_a_still_under_a_moving_cursor():
    frames = static(heart(size=112))
    for number in range(12):
        frames[number, 40:42, 3 * number : 3 * number + 2] = 255
    with pytest.raises(UnusableFileError, match="stands still"):
        check_content(frames, "a.avi")


def test_doubts_black_frames_colour_saturation_and_little_motion():
    frames = heart()
    frames[3:5] = 0
    assert check_content(frames, "a.avi") == ["17% of its frames are black"]
    frames = heart()
    frames[:, :20, :, 0] = 0
    assert "coloured, as color Doppler is" in check_content(frames, "a.avi")[0]
    frames = heart()
    frames[:, :18] = 252 + frames[:, :18] // 128
    assert "saturated pixels" in check_content(frames, "a.avi")[0]
    frames = static(heart())
    frames[:, 20:26] = heart()[:, 20:26]
    assert "stands still" in check_content(frames, "a.avi")[0]


@pytest.mark.parametrize("strength", [4, 12, 40])
@pytest.mark.parametrize("count", [6, 12, 60])
def test_doubts_a_still_that_only_noise_moves(strength, count):
    noise = np.random.default_rng(2).integers(-strength, strength + 1, (count, 112, 112, 1))
    frames = np.clip(static(heart(size=112, count=count)).astype(int) + noise, 0, 255).astype(np.uint8)
    assert check_content(frames, "a.avi") == ["it changes from frame to frame as noise does, not as a moving heart"]


def test_does_not_take_a_noisy_heart_for_noise():
    noise = np.random.default_rng(3).integers(-20, 21, (12, 112, 112, 1))
    for seed in range(6):
        frames = np.clip(heart(seed, 112).astype(int) + noise, 0, 255).astype(np.uint8)
        assert check_content(frames, "a.avi") == []


def test_large_frames_are_judged_as_small_ones():
    large = np.repeat(np.repeat(heart(), 12, axis=1), 12, axis=2)
    assert check_content(large, "a.avi") == []


@pytest.mark.parametrize("interval_ms", [0.02, 33_000, None])
def test_refuses_a_time_between_frames_that_no_scanner_has(interval_ms):
    with pytest.raises(UnusableFileError, match=r"a.dcm: expected .*(; |, or )give another\."):
        check_interval(interval_ms, "a.dcm", "give another")
    assert check_interval(20, "a.dcm", "") == 20


def test_doubts_a_slow_rate_and_a_recording_shorter_than_a_beat():
    assert time_doubts(40, 20) == [] == time_doubts(3, None)
    assert time_doubts(10, 20) == ["it covers 200 ms, less than a heart beat"]
    assert time_doubts(40, 200) == ["its frame rate of 5 a second is not that of an echo recording"]


def test_refuses_fewer_frames_than_show_a_motion():
    check_length(5, "a.avi")
    with pytest.raises(UnusableFileError, match=r"a.avi: expected a cine of at least 5 frames, found 2"):
        check_length(2, "a.avi")
