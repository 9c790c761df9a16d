import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.cine import CheckCine, CheckCined, ResampleTime, ResampleTimed


def section(shape=(1, 4, 5, 3)):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_a_good_section_comes_back_as_it_is(convert):
    good = convert(section())
    assert CheckCine()(good) is good


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_pixels_that_are_no_numbers(value):
    bad = section()
    bad[0, 1, 2, 1] = bad[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"expected finite pixels, found 2 of 60 NaN or infinite"):
        CheckCine()(bad)


def test_refuses_a_constant_image_and_names_its_value():
    with pytest.raises(ValueError, match=r"found the one value 7 in every pixel \(standard deviation 0\)"):
        CheckCine()(torch.full((1, 4, 4, 3), 7))


def test_refuses_a_still_image():
    with pytest.raises(ValueError, match="expected at least 2 frames, found 1; export the whole cine series"):
        CheckCine()(section((1, 4, 5, 1)))


@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 4, 5, 3), (1, 1, 4, 5, 3)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"expected one section of shape \(1, H, W, T\), found"):
        CheckCine()(section(shape))


@pytest.mark.parametrize(
    ("names", "message"),
    [({"case": "p1", "section": 4}, "^p1, section 4: "), ({"case": "p1"}, "^p1: "), ({}, "^image: ")],
)
def test_dictionary_form_names_case_and_section(names, message):
    with pytest.raises(ValueError, match=message):
        CheckCined("image")({"image": section((1, 4, 5, 1)), **names})


def test_dictionary_form_returns_the_item():
    item = {"image": section(), "case": "p1"}
    assert CheckCined("image")(item) == item


def beat(frames, harmonic=1):
    return np.sin(2 * np.pi * harmonic * np.arange(frames) / frames).reshape(1, 1, 1, frames)


def test_as_many_frames_come_back_as_they_are():
    section = beat(40)
    assert ResampleTime(40)(section) is section


@pytest.mark.parametrize("given", [2, 7, 20, 25, 50, 90])
def test_a_constant_section_stays_exactly_constant(given):
    result = ResampleTime(40)(torch.full((1, 3, 2, given), 0.1))
    assert result.shape == (1, 3, 2, 40) and torch.equal(result, torch.full((1, 3, 2, 40), 0.1))


@pytest.mark.parametrize(("given", "harmonic"), [(20, 1), (30, 1), (30, 2), (50, 2)])
def test_a_slow_sine_is_off_by_no_more_than_the_bound_of_linear_interpolation(given, harmonic):
    bound = (2 * np.pi * harmonic / given) ** 2 / 8  # h^2 / 8 times the largest second derivative
    error = np.abs(ResampleTime(40)(beat(given, harmonic)) - beat(40, harmonic)).max()
    assert error <= bound


def test_the_last_frame_leads_back_to_the_first():
    section = np.array([0.0, 10, 20, 30], np.float32).reshape(1, 1, 1, 4)
    result = ResampleTime(8)(section).ravel()
    assert np.array_equal(result, [0, 5, 10, 15, 20, 25, 30, 15])


def test_a_beat_that_starts_later_gives_the_beat_that_starts_later():
    section = np.random.default_rng(0).normal(size=(1, 2, 2, 20))
    resample = ResampleTime(40)
    assert np.allclose(np.roll(resample(section), 2, -1), resample(np.roll(section, 1, -1)))


def test_stays_within_the_range_of_the_frames():
    section = np.random.default_rng(1).random((1, 4, 4, 23))
    result = ResampleTime(40)(section)
    assert result.min() >= section.min() and result.max() <= section.max()


def test_halving_takes_every_second_frame():
    section = np.random.default_rng(2).random((1, 2, 2, 80))
    assert np.array_equal(ResampleTime(40)(section), section[..., ::2])


def test_keeps_kind_and_precision_and_makes_integers_float32():
    meta = ResampleTime(4)(MetaTensor(torch.rand(1, 2, 2, 6), meta={"case": "p1"}))
    assert isinstance(meta, MetaTensor) and meta.meta["case"] == "p1" and meta.dtype == torch.float32
    assert ResampleTime(4)(beat(6)).dtype == np.float64
    integers = ResampleTime(4)(np.array([[[[0, 1]]]], np.int16))
    assert integers.dtype == np.float32 and np.array_equal(integers.ravel(), [0, 0.5, 1, 0.5])


def test_dictionary_form_resamples_its_keys_only():
    item = {"image": beat(20), "other": beat(20)}
    result = ResampleTimed("image", 30)(item)
    assert np.array_equal(result["image"], ResampleTime(30)(beat(20)))
    assert result["other"] is item["other"] and item["image"].shape[-1] == 20


def test_refuses_one_frame():
    with pytest.raises(ValueError, match="at least 2 frames, found 1"):
        ResampleTime()(np.zeros((1, 2, 2, 1)))
    with pytest.raises(ValueError, match="frames: expected at least 2, found 1"):
        ResampleTime(1)
