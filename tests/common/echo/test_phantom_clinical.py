from dataclasses import replace

import numpy as np
import pytest

from common.echo import open_ultrasound_cine, simulate_echo
from common.echo.phantom import FRAME_RATES_HZ, clinical_case
from common.echo.phantoms.heart import Heart, Probe, ejected_share, render
from common.echo.phantoms.look import Look
from common.files import read_csv


def picture(heart, probe=None):
    return render(heart, probe or Probe(), np.zeros(1), np.random.default_rng(0))[0].astype(float)


def test_writes_videos_of_many_rates_whose_volumes_give_the_ef(tmp_path):
    simulate_echo(tmp_path, cases=8, seed=2, size=32, frames=(25, 50), frame_rate_hz=25.0, style="clinical")
    rows = read_csv(tmp_path / "FileList.csv")
    for row in rows:
        assert 100 * (1 - float(row["ESV"]) / float(row["EDV"])) == pytest.approx(float(row["EF"]), abs=0.01)
        cine = open_ultrasound_cine(tmp_path / "Videos" / f"{row['FileName']}.avi")
        assert 1000 / cine.frame_interval_ms == pytest.approx(float(row["FPS"]), rel=0.01)
        assert 1.0 <= cine.frame_count / float(row["FPS"]) <= 2.05
    rates = {float(row["FPS"]) for row in rows}
    assert len(rates) > 2 and rates <= set(FRAME_RATES_HZ)
    with pytest.raises(ValueError, match="style: expected plain or clinical, found 'drawn'"):
        simulate_echo(tmp_path / "other", cases=1, style="drawn")


def test_the_beats_of_patients_empty_the_ventricle_once_and_fill_it_again():
    for seed in range(20):
        heart, _ = clinical_case(np.random.default_rng(seed))
        heart = replace(heart, phase=0.0)
        ejected = ejected_share(heart, np.linspace(0, 60 / heart.heart_rate_bpm, 200, endpoint=False))
        systole = int(ejected.argmax())
        assert ejected[0] == 0 and ejected.max() == pytest.approx(1, abs=0.01) and ejected.min() >= 0
        assert 0.2 < systole / 200 < 0.55
        assert (np.diff(ejected[: systole + 1]) >= 0).all() and (np.diff(ejected[systole:]) <= 1e-9).all()


def test_a_mirrored_picture_is_the_mirror_image():
    heart = Heart(50.0)
    assert np.array_equal(picture(heart, Probe(mirrored=True)), picture(heart)[:, ::-1])


def test_a_plane_beside_the_axis_shows_a_smaller_ventricle():
    """By Pythagoras both axes of its section are sqrt(1 - (offset / radius)^2) of the whole."""
    heart = Heart(50.0, radius_mm=30.0, long_axis_mm=80.0)
    whole, section = (picture(replace(heart, offset_mm=offset)) for offset in (0.0, 18.0))
    probe = Probe()
    row = round((heart.apex_mm[1] + 40.0) * probe.size / probe.depth_mm)

    def width(frame):
        middle = round((heart.apex_mm[0] + probe.depth_mm / 2) * probe.size / probe.depth_mm)
        dark = frame[row] < frame[row].max() / 2
        left = next(k for k in range(middle, 0, -1) if not dark[k])
        return next(k for k in range(middle, probe.size) if not dark[k]) - left

    expected = (
        2 * heart.radius_mm * np.sqrt(1 - np.array([40 / 80, 24 / 64]) ** 2) * (1.0, 0.8) * probe.size / probe.depth_mm
    )
    assert [width(whole), width(section)] == pytest.approx(expected, abs=4)


def test_a_shadow_takes_its_loss_from_its_beam_alone():
    depth = np.full(3, 100.0)
    x = depth * np.tan([0.2, 0.26, 0.6])
    share = Look(shadows=((0.2, 0.06, 20.0),)).shadow(x, depth)
    assert share == pytest.approx([0.1, 10 ** (-1 / np.e), 1.0], abs=0.01)


def test_grey_levels_span_the_dynamic_range():
    look = Look(dynamic_range_db=50.0, gamma=2.0, tgc_db=10.0)
    grey = look.grey(np.array([0.0, -25.0, -50.0, -80.0]), np.full(4, 0.5))
    assert grey == pytest.approx([1.0, 0.25, 0.0, 0.0])
    assert look.grey(np.array([-25.0]), np.array([1.0]))[0] == pytest.approx(0.6**2)
