import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.cine import CutIntensityd, ResampleTimed


def resample(image, frames=40):
    return ResampleTimed("image", frames)({"image": image})["image"]


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_grey_values_are_cut_at_the_threshold(convert):
    image = convert(np.array([0.0, 1999, 2000, 2001, 5]).reshape(1, 1, 1, 5))
    item = {"image": image}
    assert CutIntensityd("image")(item)["image"].ravel().tolist() == [0, 1999, 2000, 2000, 5]
    assert item["image"].max() == 2001


def test_grey_values_of_another_scale_are_refused():
    image = torch.tensor([3000.0, 4000, 100, 200, 300]).reshape(1, 1, 1, 5)
    with pytest.raises(ValueError, match=r"few lie above 2000, .*found 40% above it; give a higher max_intensity"):
        CutIntensityd("image")({"image": image})
    assert torch.equal(CutIntensityd("image", 10_000)({"image": image})["image"], image)


def beat(frames, harmonic=1):
    return np.sin(2 * np.pi * harmonic * np.arange(frames) / frames).reshape(1, 1, 1, frames)


def test_as_many_frames_come_back_as_they_are():
    cine = beat(40)
    assert resample(cine) is cine


@pytest.mark.parametrize("given", [2, 7, 20, 25, 50, 90])
def test_a_constant_slice_stays_exactly_constant(given):
    result = resample(torch.full((1, 3, 2, given), 0.1))
    assert result.shape == (1, 3, 2, 40) and torch.equal(result, torch.full((1, 3, 2, 40), 0.1))


@pytest.mark.parametrize(("given", "harmonic"), [(20, 1), (30, 1), (30, 2), (50, 2)])
def test_a_slow_sine_is_off_by_no_more_than_the_bound_of_linear_interpolation(given, harmonic):
    bound = (2 * np.pi * harmonic / given) ** 2 / 8  # h^2 / 8 times the largest second derivative
    error = np.abs(resample(beat(given, harmonic)) - beat(40, harmonic)).max()
    assert error <= bound


def test_the_last_frame_leads_back_to_the_first():
    cine = np.array([0.0, 10, 20, 30], np.float32).reshape(1, 1, 1, 4)
    result = resample(cine, 8).ravel()
    assert np.array_equal(result, [0, 5, 10, 15, 20, 25, 30, 15])


def test_a_beat_that_starts_later_gives_the_beat_that_starts_later():
    cine = np.random.default_rng(0).normal(size=(1, 2, 2, 20))
    assert np.allclose(np.roll(resample(cine), 2, -1), resample(np.roll(cine, 1, -1)))


def test_stays_within_the_range_of_the_frames():
    cine = np.random.default_rng(1).random((1, 4, 4, 23))
    result = resample(cine)
    assert result.min() >= cine.min() and result.max() <= cine.max()


def test_halving_takes_every_second_frame():
    cine = np.random.default_rng(2).random((1, 2, 2, 80))
    assert np.array_equal(resample(cine), cine[..., ::2])


def test_keeps_kind_and_precision_and_makes_integers_float32():
    meta = resample(MetaTensor(torch.rand(1, 2, 2, 6), meta={"case": "p1"}), 4)
    assert isinstance(meta, MetaTensor) and meta.meta["case"] == "p1" and meta.dtype == torch.float32
    assert resample(beat(6), 4).dtype == np.float64
    integers = resample(np.array([[[[0, 1]]]], np.int16), 4)
    assert integers.dtype == np.float32 and np.array_equal(integers.ravel(), [0, 0.5, 1, 0.5])


def test_resamples_its_keys_only():
    item = {"image": beat(20), "other": beat(20)}
    result = ResampleTimed("image", 30)(item)
    assert result["other"] is item["other"] and item["image"].shape[-1] == 20


def uneven(phases, values):
    image = torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)
    return MetaTensor(image, meta={"phases": torch.tensor(phases, dtype=torch.float64)})


def test_uneven_frames_are_resampled_by_their_phases():
    # A triangle: 0 at phase 0, 8 at phase 0.5, 0 at phase 1, seen at 0, 0.125, 0.25, 0.5 and 0.75.
    image = uneven([0, 0.125, 0.25, 0.5, 0.75], [0, 2, 4, 8, 4])
    result = resample(image, 8)
    assert result.ravel().tolist() == [0, 2, 4, 6, 8, 6, 4, 2] and "phases" not in result.meta
    assert "phases" in image.meta


def test_as_many_uneven_frames_do_not_come_back_as_they_are():
    assert resample(uneven([0, 0.125, 0.25, 0.5], [0, 2, 4, 8]), 4).ravel().tolist() == [0, 4, 8, 4]


def test_a_beat_whose_first_frame_is_missing_is_closed_over_the_circle():
    assert resample(uneven([0.25, 0.5, 0.75], [4, 8, 4]), 4).ravel().tolist() == [4, 4, 8, 4]


def test_even_phases_give_what_no_phases_give():
    values = np.random.default_rng(3).random(20)
    even = torch.tensor(values).reshape(1, 1, 1, 20)
    assert torch.allclose(resample(uneven(np.arange(20) / 20, values)).as_tensor(), resample(even))


def test_refuses_one_frame():
    with pytest.raises(ValueError, match="at least 2 frames, found 1"):
        resample(np.zeros((1, 2, 2, 1)))
    with pytest.raises(ValueError, match="frames: expected at least 2, found 1"):
        ResampleTimed("image", 1)
