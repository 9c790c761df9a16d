import numpy as np
import pydicom
import pytest

from common.doppler import LoadDopplerd, doppler_datalist, peak_velocity_cm_s, read_doppler, simulate_doppler
from common.doppler.phantoms.flow import draw_flow, inflow_cm_s
from common.files import read_csv

CASES = 24


@pytest.fixture(scope="module", params=["dicom", "png"])
def simulated(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return folder, simulate_doppler(folder, CASES, unlabelled=2, seed=5, form=request.param)


@pytest.mark.parametrize("rhythm", ["sinus", "fusion", "fibrillation"])
@pytest.mark.parametrize("seed", range(5))
def test_the_envelope_reaches_each_peak_and_goes_no_higher(rhythm, seed):
    flow = draw_flow(np.random.default_rng(seed), 3.0, rhythm)
    for wave in flow.waves:
        times = np.linspace(wave.time_s - 0.02, wave.time_s + 0.02, 81)
        assert inflow_cm_s(flow, times)[40] == pytest.approx(wave.velocity_cm_s)
        assert inflow_cm_s(flow, times).argmax() == 40
    assert any(wave.name == "A" for wave in flow.waves) == (rhythm != "fibrillation")


def test_the_reader_gives_every_true_velocity_back(simulated):
    folder, truth = simulated
    items = {item["case"]: item for item in doppler_datalist(folder, "all")}
    assert len(items) == CASES
    for item in items.values():
        image = read_doppler(item["image"])
        calibration = item.get("calibration") or image.calibration
        for wave in ("E", "A"):
            expected = [row["velocity_cm_s"] for row in truth if (row["case"], row["wave"]) == (tail(item), wave)]
            found = [peak_velocity_cm_s(y, calibration) for _, y in item["peaks"][wave]]
            assert found == pytest.approx(expected, abs=0.01)


def tail(item):
    return item["case"].split("_")[1]


def test_the_picture_falls_off_at_the_labelled_peak(simulated):
    """Brighter between peak and baseline than beyond the peak, in nearly all waves however low the gain."""
    folder, _ = simulated
    contrasts = []
    for item in doppler_datalist(folder, "all"):
        d = LoadDopplerd()(item)
        for x, y in [p for wave in ("E", "A") for p in item["peaks"][wave]]:
            toward = int(np.sign(float(d["calibration"][0]) - y))
            column = d["image"][0, :, round(x) - 1 : round(x) + 2].mean(1)
            inner = column[[round(y) + toward * step for step in range(4, 14)]].mean()
            outer = column[[max(round(y) - toward * step, 0) for step in range(4, 14)]].mean()
            contrasts.append(float(inner - outer))
    assert np.mean(np.array(contrasts) > 0.05) > 0.95


def test_pictures_hold_three_rhythms_and_unlabelled_ones(simulated):
    folder, truth = simulated
    without_a = {row["case"] for row in truth} - {row["case"] for row in truth if row["wave"] == "A"}
    assert 0 < len(without_a) < CASES
    assert len(list((folder / "unlabelled").iterdir())) == 2
    assert len(doppler_datalist(folder, "all", labelled=False)) == CASES + 2


def test_dicom_files_come_in_several_storages_and_name_nobody(tmp_path):
    simulate_doppler(tmp_path, 20, seed=1)
    kinds, frames = set(), set()
    for path in sorted((tmp_path / "labelled").iterdir()):
        dataset = pydicom.dcmread(path)
        kinds.add(dataset.PhotometricInterpretation)
        frames.add(int(dataset.NumberOfFrames))
        assert str(dataset.PatientName) == path.stem
    assert kinds >= {"YBR_FULL_422", "RGB"} and frames == {1, 2}


def test_the_same_settings_write_the_same_files(tmp_path):
    for name in ("a", "b"):
        simulate_doppler(tmp_path / name, 2, unlabelled=1, seed=9)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_png_labels_carry_the_calibration_and_dicom_labels_do_not(tmp_path):
    simulate_doppler(tmp_path / "p", 1, form="png")
    simulate_doppler(tmp_path / "d", 1)
    assert set(read_csv(tmp_path / "p" / "labels.csv")[0]) >= {"cm_s_per_px", "y_baseline", "seconds_per_px"}
    assert set(read_csv(tmp_path / "d" / "labels.csv")[0]) == {"filename", "wave", "x", "y"}


def test_refuses_an_unknown_form(tmp_path):
    with pytest.raises(ValueError, match="expected form dicom or png or screen, style plain or cart"):
        simulate_doppler(tmp_path, 1, form="tiff")
