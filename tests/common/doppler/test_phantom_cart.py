import numpy as np
import pytest

from common.doppler import LoadDopplerd, doppler_datalist, peak_velocity_cm_s, read_doppler, simulate_doppler
from common.doppler.phantoms.cart import draw_cart_screen

CASES = 12


@pytest.fixture(scope="module", params=["dicom", "png", "screen"])
def simulated(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return folder, simulate_doppler(folder, CASES, seed=8, form=request.param, style="cart")


def test_the_reader_gives_every_true_velocity_back(simulated):
    folder, truth = simulated
    items = doppler_datalist(folder, "all")
    assert len(items) == CASES
    for item in items:
        image = read_doppler(item["image"])
        calibration = item.get("calibration") or image.calibration
        for wave in ("E", "A"):
            expected = [r["velocity_cm_s"] for r in truth if (r["case"], r["wave"]) == (item["case"][9:], wave)]
            found = [peak_velocity_cm_s(y, calibration) for _, y in item["peaks"][wave]]
            assert found == pytest.approx(expected, abs=0.01)


def test_the_trace_is_the_same_part_of_the_screen_in_every_form(simulated):
    folder, _ = simulated
    for item in doppler_datalist(folder, "all"):
        d = LoadDopplerd()(item)
        left, top, right, bottom = d["box"].tolist()
        assert right - left > 1.5 * (bottom - top) and (left > 0) == (item["image"][-3:] != "png" or left != 0)
        rows = [y for wave in ("E", "A") for _, y in item["peaks"][wave]]
        assert min(rows, default=top) >= top and max(rows, default=bottom) <= bottom


@pytest.mark.parametrize("seed", range(6))
def test_the_spectrum_falls_off_at_the_peaks(seed):
    """Below a peak the strip is brighter than 14 to 24 cm/s beyond it, where not even single bright pixels reach."""
    contrasts = []
    for number in range(4):
        screen = draw_cart_screen(np.random.default_rng([seed, number]))
        layout, grey = screen.layout, screen.pixels.astype(float).mean(2) / 255
        for wave in ("E", "A"):
            for (x, _), velocity in zip(screen.peaks[wave], screen.velocities_cm_s[wave], strict=True):
                columns = slice(round(x) - 1, round(x) + 2)
                inner, outer = (sorted(round(layout.row(velocity + v)) for v in span) for span in ((-6, -1), (14, 24)))
                if min(outer) > layout.top and max(outer) < layout.top + layout.height:
                    contrasts.append(grey[slice(*inner), columns].mean() - grey[slice(*outer), columns].mean())
    assert len(contrasts) > 8 and np.mean(np.array(contrasts) > 0.1) > 0.85


def test_screens_differ_in_size_scale_sweep_direction_and_colour():
    screens = [draw_cart_screen(np.random.default_rng(seed)) for seed in range(24)]
    assert len({screen.pixels.shape for screen in screens}) >= 4
    assert len({screen.tick_cm_s for screen in screens}) >= 3
    assert {screen.layout.upward for screen in screens} == {True, False}
    assert max(s.layout.seconds_per_px for s in screens) > 3 * min(s.layout.seconds_per_px for s in screens)
    spread = [np.ptp(s.pixels[s.layout.top :].reshape(-1, 3).mean(0)) for s in screens]
    assert min(spread) < 3 < 8 < max(spread)


def test_the_same_seed_draws_the_same_screen():
    first, second = (draw_cart_screen(np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels) and first.peaks == second.peaks
