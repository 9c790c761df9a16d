import pytest
import torch

from common.doppler import RandGaind, RandTraceAffined, TwoViewsd
from tests.common.doppler.test_fit import blob, centre_of_mass

CENTRE = torch.tensor([[60.4, 30.7]]).double()


def moved(move, image, points):
    result = move({"image": image, "peaks": points})
    return result["image"], result["peaks"]


@pytest.mark.parametrize("seed", range(6))
def test_points_go_where_the_image_goes(seed):
    move = RandTraceAffined(prob=1.0).set_random_state(seed)
    image, points = moved(move, blob((64, 120), 60.4, 30.7), CENTRE)
    torch.testing.assert_close(centre_of_mass(image), points[0], atol=0.05, rtol=0)


def test_time_keeps_running_to_the_right_and_velocity_keeps_its_sign():
    points = torch.tensor([[50.0, 28.0], [70.0, 36.0]])
    for seed in range(50):
        _, after = moved(RandTraceAffined(prob=1.0).set_random_state(seed), torch.zeros(1, 64, 120), points)
        assert bool((after[1] > after[0]).all())


def test_changes_stay_within_the_settings():
    scales = {"time_scale": (0.5, 0.6), "velocity_scale": (2.0, 2.5)}
    move = RandTraceAffined(prob=1.0, time_shift=0.1, velocity_shift=0.0, **scales)
    for seed in range(30):
        move.set_random_state(seed)
        _, after = moved(move, torch.zeros(1, 101, 201), torch.tensor([[100.0, 50.0], [110.0, 55.0]]))
        scale = (after[1] - after[0]) / torch.tensor([10.0, 5.0])
        assert 0.5 <= scale[0] <= 0.6 and 2.0 <= scale[1] <= 2.5
        assert abs(after[0, 0] - 100) <= 20.2 and after[0, 1] == pytest.approx(50, abs=1e-4)


def test_a_point_that_leaves_the_image_becomes_nan():
    same = {"time_scale": (1.0, 1.0), "velocity_scale": (1.0, 1.0)}
    move = RandTraceAffined(prob=1.0, time_shift=0.4, velocity_shift=0.0, **same)
    lost = 0
    for seed in range(20):
        move.set_random_state(seed)
        _, after = moved(move, torch.zeros(1, 50, 100), torch.tensor([[2.0, 25.0]]))
        lost += int(after.isnan().all())
        assert after.isnan().all() or 0 <= after[0, 0] <= 99
    assert 0 < lost < 20


def test_without_luck_nothing_changes():
    image = torch.rand(1, 20, 30)
    for kind in (RandTraceAffined, RandGaind):
        result = kind(prob=0.0)({"image": image, "peaks": CENTRE})
        assert result["image"] is image and result["peaks"] is CENTRE


def test_moves_image_and_points_and_leaves_its_input_alone():
    data = {"image": blob((64, 120), 60.4, 30.7), "peaks": CENTRE}
    result = RandTraceAffined("image", prob=1.0).set_random_state(3)(data)
    torch.testing.assert_close(centre_of_mass(result["image"]), result["peaks"][0], atol=0.05, rtol=0)
    assert data["peaks"] is CENTRE and not torch.equal(result["image"], data["image"])
    assert "peaks" not in RandTraceAffined("image", prob=1.0)({"image": data["image"]})


@pytest.mark.parametrize("kind", [RandGaind, RandTraceAffined])
def test_the_same_seed_gives_the_same_view(kind):
    image, change = torch.rand(1, 20, 30), kind("image", prob=1.0)
    first = change.set_random_state(5)({"image": image})["image"]
    second = change.set_random_state(5)({"image": image})["image"]
    torch.testing.assert_close(first, second)
    assert not torch.equal(first, change({"image": image})["image"])


def test_gain_and_gamma_are_those_of_the_settings():
    image = torch.tensor([[[0.0, 0.25, 0.5, 1.0]]])
    changed = RandGaind(prob=1.0, gain=(0.8, 0.8), gamma=(2.0, 2.0), noise=0.0)({"image": image})["image"]
    torch.testing.assert_close(changed, torch.tensor([[[0.0, 0.05, 0.2, 0.8]]]))


def test_gain_stays_within_the_range_of_a_picture():
    changed = RandGaind(prob=1.0, gain=(3.0, 3.0), noise=0.5)({"image": torch.rand(1, 40, 50)})["image"]
    assert float(changed.min()) >= 0 and float(changed.max()) <= 1


def test_two_views_differ_and_stand_side_by_side():
    views = TwoViewsd("image", RandGaind("image", prob=1.0)).set_random_state(1)
    data = {"image": torch.rand(1, 20, 30), "case": "a"}
    result = views(data)
    assert result["image"].shape == (2, 1, 20, 30) and result["case"] == "a"
    assert not torch.equal(result["image"][0], result["image"][1])
    torch.testing.assert_close(views.set_random_state(1)(data)["image"], result["image"])


def test_refuses_a_scale_that_turns_the_trace_over():
    with pytest.raises(ValueError, match="time_scale: expected 0 < lowest <= highest, found"):
        RandTraceAffined(time_scale=(-1.0, 1.0))
