import pytest
import torch

from common.rf import (
    LoadRfPaird,
    RestoreDisplacementd,
    RfPairToImaged,
    analytic_channels,
    measure_speckle,
    resample_displacement,
    resample_image,
    rf_pairs,
    simulate_rf_ultrasound,
)


def test_displacement_values_scale_with_the_grid():
    displacement = torch.ones(2, 8, 4)
    result = resample_displacement(displacement, (4, 12))
    torch.testing.assert_close(result[0], torch.full((4, 12), 3.0))
    torch.testing.assert_close(result[1], torch.full((4, 12), 0.5))


def test_both_directions_are_scaled_in_batches():
    result = resample_displacement(torch.ones(3, 4, 8, 4), (16, 4))
    assert result[:, :, 5, 2].tolist() == [[1, 2, 1, 2]] * 3


def test_there_and_back_keeps_a_smooth_field():
    rows = torch.linspace(0, 3, 60).reshape(1, -1, 1)
    displacement = torch.cat([rows.expand(1, 60, 12), rows.square().expand(1, 60, 12)])
    back = resample_displacement(resample_displacement(displacement, (120, 36)), (60, 12))
    torch.testing.assert_close(back[:, 2:-2], displacement[:, 2:-2], atol=0.01, rtol=0)


def test_same_grid_changes_nothing():
    displacement = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resample_displacement(displacement, (6, 5)), displacement)
    assert torch.equal(resample_image(displacement, (6, 5)), displacement)


def pair(**more):
    pre, post = torch.randn(2, 1, 20, 6, generator=torch.Generator().manual_seed(1))
    return {"pre": pre, "post": post, **more}


def test_image_holds_the_channels_of_pre_then_post():
    data = pair()
    image = RfPairToImaged(grid_size=(None, None))(data)["image"]
    assert torch.equal(image, torch.cat([analytic_channels(data[key]) for key in ("pre", "post")]))
    assert "image" not in data


def test_image_and_flow_are_on_the_networks_grid():
    result = RfPairToImaged(grid_size=(None, 12))(pair(displacement=torch.ones(2, 20, 6)))
    assert result["image"].shape == (6, 20, 12)
    assert result["frame_size"].tolist() == [20, 6]
    torch.testing.assert_close(result["displacement"][0], torch.full((20, 12), 2.0))


def test_refuses_other_than_two_frames():
    with pytest.raises(ValueError, match="two frames"):
        RfPairToImaged(keys=["pre"])


def test_restored_flow_is_on_the_frames_grid_in_their_pixels():
    data = {"pred": torch.ones(4, 40, 12), "frame_size": torch.tensor([20, 6])}
    result = RestoreDisplacementd("pred")(data)["pred"]
    assert result.shape == (4, 20, 6)
    assert torch.equal(result, torch.full((4, 20, 6), 0.5))
    assert data["pred"].shape == (4, 40, 12)


def test_all_arrays_look_alike_on_their_common_grid(tmp_path):
    kinds = {"sampling_mhz": (25.0, 40.0), "beam_lines": (1.0, 2.5)}
    for number in range(2):
        simulate_rf_ultrasound(
            tmp_path / str(number), 1, samples=700, lines=60, **{name: pair[number] for name, pair in kinds.items()}
        )
    for item in rf_pairs(tmp_path):
        pair = LoadRfPaird()(item)
        found = RfPairToImaged(grid_size="array")(pair)
        speckle = measure_speckle(found["image"][1].numpy() - 0.5)
        assert speckle.period_samples == pytest.approx(8, rel=0.1) and speckle.beam_lines == pytest.approx(2, rel=0.25)
        back = RestoreDisplacementd("displacement")(found)["displacement"]
        torch.testing.assert_close(back[:, 5:-5, 2:-2], pair["displacement"][:, 5:-5, 2:-2], atol=0.05, rtol=0)


def test_refuses_another_word_for_the_grid():
    with pytest.raises(ValueError, match="'array', found 'lines'"):
        RfPairToImaged(grid_size="lines")
