import math

import pytest
import torch
from skimage.feature import peak_local_max

from common.doppler import DecodePeaksd, decode_peaks, draw_heat_maps


def found(maps, **settings):
    """Points of one map as a list, with their confidences."""
    points, scores = decode_peaks(maps, **settings)
    return [(x, y, s) for (x, y), s in zip(points.tolist(), scores.tolist(), strict=True) if not math.isnan(x)]


def test_finds_the_centre_of_a_gaussian_between_pixels():
    points = torch.tensor([[[30.37, 20.81], [75.5, 41.12]]]).double()
    decoded, _ = decode_peaks(draw_heat_maps(points, (64, 110), 4.0)[0])
    torch.testing.assert_close(decoded[:2].sort(0).values, points[0].sort(0).values, atol=1e-6, rtol=0)


def test_equals_peak_local_max_image_by_image():
    maps = torch.rand(6, 50, 70)
    decoded, _ = decode_peaks(maps, 5, relative_threshold=0.7, max_peaks=60)
    for one, points in zip(maps, decoded, strict=True):
        expected = peak_local_max(one.numpy(), min_distance=5, threshold_rel=0.7, exclude_border=False)
        pixels = {(round(y), round(x)) for x, y in points.tolist() if not math.isnan(x)}
        assert len(pixels) == len(expected)
        # The parabola moves a peak by half a pixel at most, so rounding may cross to a neighbour.
        assert all(min(max(abs(y - v), abs(x - u)) for v, u in expected) <= 1 for y, x in pixels)


@pytest.mark.parametrize(("gap", "count"), [(8, 1), (9, 2)])
def test_keeps_the_higher_of_two_peaks_within_the_distance(gap, count):
    one = torch.zeros(30, 40)
    one[10, 10], one[12, 10 + gap] = 0.9, 0.8
    peaks = found(one, min_distance_px=8)
    assert len(peaks) == count
    assert peaks[0] == pytest.approx((10, 10, 0.9))


def test_a_plateau_is_one_peak():
    one = torch.zeros(30, 40)
    one[10:13, 20:24] = 1
    assert len(found(one, min_distance_px=5)) == 1


@pytest.mark.parametrize(("height", "count"), [(0.39, 1), (0.41, 2)])
def test_a_peak_reaches_its_share_of_the_largest(height, count):
    one = torch.zeros(30, 80)
    one[10, 10], one[10, 60] = 0.8, height
    assert len(found(one)) == count


def test_an_empty_map_gives_no_peak_however_low_its_noise():
    points, scores = decode_peaks(1e-3 * torch.rand(2, 2, 40, 40))
    assert bool(points.isnan().all()) and float(scores.abs().max()) == 0


def test_confidence_is_the_height_cut_to_one():
    one = torch.zeros(30, 80)
    one[10, 10], one[10, 60] = 1.3, 0.7
    assert [score for _, _, score in found(one)] == pytest.approx([1.0, 0.7])


def test_a_peak_on_the_border_keeps_its_pixel():
    one = draw_heat_maps(torch.tensor([[-0.3, 7.2]]), (20, 20), 3.0)
    (x, y, _), *rest = found(one)
    assert x == 0 and y == pytest.approx(7.2, abs=1e-3) and not rest


def test_best_come_first_and_the_rest_is_dropped():
    one = torch.zeros(20, 200)
    for index, height in enumerate((0.7, 0.9, 0.8)):
        one[10, 30 + 50 * index] = height
    assert [x for x, _, _ in found(one, max_peaks=2)] == [80, 130]


def test_each_map_of_a_batch_is_decoded_on_its_own():
    maps = torch.rand(3, 2, 30, 40)
    maps[1, 0] *= 0.2
    points, scores = decode_peaks(maps, 4, max_peaks=9)
    assert points.shape == (3, 2, 9, 2) and scores.shape == (3, 2, 9)
    torch.testing.assert_close(points[1, 0], decode_peaks(maps[1, 0], 4, max_peaks=9)[0], equal_nan=True)


def test_asks_for_more_peaks_than_pixels():
    assert decode_peaks(torch.eye(3), 1, max_peaks=20)[0].shape == (20, 2)


@pytest.mark.parametrize("setting", [{"min_distance_px": 0}, {"max_peaks": 0}, {"relative_threshold": 1.5}])
def test_refuses_settings_outside_their_range(setting):
    with pytest.raises(ValueError, match="of at least 1 and relative_threshold in"):
        decode_peaks(torch.zeros(4, 4), **setting)


@pytest.mark.parametrize(
    "setting",
    [{"relative_threshold": 1.5}, {"absolute_threshold": 2}, {"absolute_threshold": -1}, {"exclusive_px": -3}],
)
def test_dictionary_form_refuses_thresholds_that_find_nothing_or_everything(setting):
    with pytest.raises(ValueError, match="absolute_threshold between 0 and 1 and exclusive_px not below 0, found"):
        DecodePeaksd(**setting)


def test_dictionary_form_gives_points_in_image_pixels():
    maps = draw_heat_maps(torch.tensor([[[30.0, 20.0]], [[50.0, 10.0]]]), (40, 64), 3.0)
    placement = torch.tensor([100.0, 50.0, 0.5, 0.25], dtype=torch.float64)
    result = DecodePeaksd("pred", max_peaks=4)({"pred": maps, "placement": placement})
    expected = torch.tensor([[30.5 / 0.5 + 99.5, 20.5 / 0.25 + 49.5], [50.5 / 0.5 + 99.5, 10.5 / 0.25 + 49.5]])
    torch.testing.assert_close(result["points"][:, 0], expected.double(), atol=1e-3, rtol=0)
    # Of log odds clipped at .98, less those of the threshold, which is half of the highest top.
    certain = 0.98 / 0.02 / (0.5 / 0.5)
    assert result["confidence"].shape == (2, 4)
    assert float(result["confidence"][0, 0]) == pytest.approx(certain / (1 + certain), abs=1e-3)


def test_a_top_by_the_edge_and_one_below_the_baseline_are_no_waves():
    peaks = torch.tensor([[[30.0, 20.0], [3.0, 20.0]], [[50.0, 10.0], [52.0, 35.0]]])
    item = {
        "pred": draw_heat_maps(peaks, (40, 64), 2.0), "placement": torch.tensor([0, 0, 1.0, 1.0]),
        "box": torch.tensor([0, 0, 63, 39]), "calibration": torch.tensor([30.0, 2.0, 0.005]),
    }  # fmt: skip
    points = DecodePeaksd("pred", max_peaks=4, min_distance_px=3)(item)["points"]
    assert points[:, 0].tolist() == [pytest.approx([30, 20]), pytest.approx([50, 10])]
    assert bool(points[:, 1:].isnan().all())


def test_tops_that_fit_into_no_beat_are_counted():
    # E and A twice, 0.3 s apart and 0.5 s to the next E; 0.05 s after the first E another top as high.
    beats = {0: [[20.0, 10.0], [100.0, 10.0], [25.0, 18.0]], 1: [[50.0, 12.0], [130.0, 12.0], [130.0, 12.0]]}
    item = {
        "pred": draw_heat_maps(torch.tensor([beats[0], beats[1]]), (40, 160), 1.5),
        "placement": torch.tensor([0, 0, 1.0, 1.0]),
        "box": torch.tensor([0, 0, 159, 39]),
        "calibration": torch.tensor([30.0, 4.0, 0.01]),
    }
    decode = DecodePeaksd("pred", max_peaks=4, min_distance_px=3)
    assert decode(item)["unused_tops"] == 1
    item["pred"] = draw_heat_maps(torch.tensor([beats[0][:2], beats[1][:2]]), (40, 160), 1.5)
    assert decode(item)["unused_tops"] == 0
