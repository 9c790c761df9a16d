"""Attacks on inference with the shipped weights, counted: `pytest -m attack tests/bundles/test_attack.py -s`.

Damaged files, tables, names, bombs and kills: a case fails by name or has the result of the undamaged file; the other
cases, the user's files and what lies outside the output folder are as they were. ATTACK_SEED draws other damages.
"""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy.io import loadmat, savemat

from common.adc import simulate_neonatal_adc
from common.cine import simulate_cine_mr
from common.doppler import simulate_doppler
from common.echo import simulate_echo
from common.files import read_csv, write_csv
from common.rf import simulate_rf_ultrasound
from tests.bundles.attacks import Tally, contents, damages, infer, judge, show

pytestmark = [pytest.mark.attack, pytest.mark.filterwarnings("ignore")]  # libraries warn of the damage made here

HIE = {"tta": False}


@pytest.fixture(scope="module")
def tallies(request):
    found = []
    yield found
    show(request, found)


@pytest.fixture
def tally(tallies, request):
    tallies.append(Tally(request.node.name.removeprefix("test_")))
    return tallies[-1]


@pytest.fixture(scope="module")
def adc(tmp_path_factory):
    """ADC and Z map of one newborn, as .mha."""
    folder = simulate_neonatal_adc(
        tmp_path_factory.mktemp("adc"), 1, 3, size=(32, 36, 4), spacing_mm=(3.2, 3.2, 20.0), progress=False
    )
    return next((folder / "1ADC_ss").iterdir()), next((folder / "2Z_ADC").iterdir())


@pytest.fixture(scope="module")
def cine(tmp_path_factory):
    """A cine of one patient, as .nii.gz."""
    folder = tmp_path_factory.mktemp("cine")
    simulate_cine_mr(folder, 1, 3, size=48, frames=6, slices=2, field_of_view_mm=220.0)
    return next(folder.rglob("*_4d.nii.gz"))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    simulate_echo(folder, 1, 3, size=48, frames=(40, 41), frame_rate_hz=25.0)
    return next(folder.rglob("*.avi"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two RF frames, as an uncompressed .mat."""
    return simulate_rf_ultrasound(
        tmp_path_factory.mktemp("pair"), 1, 3, content="inclusion", samples=256, lines=32, strain_percent=(1.0, 1.01)
    )[0]


@pytest.fixture(scope="module")
def screens(tmp_path_factory):
    """A Doppler screen as DICOM, and another as PNG with labels.csv."""
    folder = tmp_path_factory.mktemp("screens")
    simulate_doppler(folder / "dicom", 1, seed=3)
    simulate_doppler(folder / "png", 1, seed=3, form="png")
    return folder


def attack(tally, tmp_path, bundle, place, content, checksum=True, seed=1, whole="whole", **settings):
    """Run one inference over the whole file and its damaged copies, which `place` writes under their names."""
    data, alone = tmp_path / "data", tmp_path / "alone"
    place(alone, whole, content)
    place(data, whole, content)
    trials = []
    for name, damaged in damages(content, seed):
        place(data, name, damaged)
        trials.append(name)
    expected, _ = infer(bundle, alone, tmp_path / "expected", **settings)
    before = contents(data)
    predictions, failed = infer(bundle, data, tmp_path / "output", **settings)
    assert contents(data) == before, "the input has changed"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "alone", "expected", "output"}
    judge(tally, trials, whole, expected[whole], predictions, failed, checksum)
    tally.check()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("which", [0, 1], ids=["adc", "zmap"])
@pytest.mark.parametrize("suffix", [".mha", ".nii.gz", ".nrrd"])
def test_hie(tally, tmp_path, adc, which, suffix):
    stored = []
    for number, path in enumerate(adc):
        target = tmp_path.parent / f"{tmp_path.name}-{number}{suffix}"
        sitk.WriteImage(sitk.ReadImage(str(path)), str(target), useCompression=True)
        stored.append(target.read_bytes())

    def place(folder, name, content):
        for number, kind in enumerate(("1ADC_ss", "2Z_ADC")):
            put(folder / kind / f"{name}{suffix}", content if number == which else stored[number])

    attack(tally, tmp_path, "hie_ladp_seg", place, stored[which], seed=which, **HIE)


def test_cmr_nifti(tally, tmp_path, cine):
    def place(folder, name, content):
        put(folder / name / f"{name}_4d.nii.gz", content)

    attack(tally, tmp_path, "cmr_hf_classify", place, cine.read_bytes())


def test_echo_avi(tally, tmp_path, video):
    def place(folder, name, content):
        put(folder / f"{name}.avi", content)

    attack(tally, tmp_path, "echo_coreecho", place, video.read_bytes(), checksum=False)


@pytest.mark.parametrize("form", ["mat", "compressed mat", "npz", "hdf5"])
def test_rf(tally, tmp_path, pair, form):
    stored = {name: value for name, value in loadmat(pair).items() if not name.startswith("_")}
    source = tmp_path.parent / f"{tmp_path.name}.npz"
    if form == "npz":
        np.savez_compressed(source, **stored)
    elif form == "hdf5":
        write_hdf5(source, stored)
    else:
        source = source.with_suffix(".mat")
        savemat(source, stored, do_compression=form != "mat")
    suffix = ".npz" if form == "npz" else ".mat"

    def place(folder, name, content):
        put(folder / f"{name}{suffix}", content)

    attack(tally, tmp_path, "elasto_flow", place, source.read_bytes(), checksum=form in ("npz", "compressed mat"))


def write_hdf5(path, stored):
    import h5py

    with h5py.File(path, "w") as file:
        for name, value in stored.items():
            file[name] = np.asarray(value).T


def test_doppler_png(tally, tmp_path, screens):
    source = next((screens / "png").rglob("*.png"))
    row = read_csv(screens / "png" / "labels.csv")[0]

    def place(folder, name, content):
        put(folder / f"{name}.png", content)
        rows = read_csv(folder / "labels.csv") if (folder / "labels.csv").exists() else []
        write_csv(folder / "labels.csv", [*rows, {**row, "filename": f"{name}.png"}])

    attack(tally, tmp_path, "doppler_keypoint", place, source.read_bytes())


def test_doppler_dicom(tally, tmp_path, screens):
    source = next((screens / "dicom").rglob("*.dcm"))

    def place(folder, name, content):
        put(folder / f"{name}.dcm", content)

    attack(tally, tmp_path, "doppler_keypoint", place, source.read_bytes(), checksum=False)
