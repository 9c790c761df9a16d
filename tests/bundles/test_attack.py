"""Attacks on inference with the shipped weights, counted: `pytest -m attack tests/bundles/test_attack.py -s`.

Damaged files, tables, names, bombs and kills: a case fails by name or has the result of the undamaged file; the other
cases, the user's files and what lies outside the output folder are as they were. ATTACK_SEED draws other damages.
"""

import csv
import resource
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.io import loadmat, savemat

from common.adc import simulate_neonatal_adc
from common.adc.layouts import csv_datalist
from common.cine import simulate_cine_mr
from common.doppler import simulate_doppler
from common.echo import simulate_echo
from common.errors import NoDataError, UnusableFileError
from common.files import read_csv, write_csv
from common.rf import simulate_rf_ultrasound
from tests.bundles.attack_bombs import adc_bombs, cine_bombs, echo_bombs, rf_bombs, screen_bombs
from tests.bundles.attack_tables import HALVES, LEADING_OUT, NAMES, NO_NUMBERS, ROWS, TABLES
from tests.bundles.attacks import (
    SEED,
    Tally,
    attack,
    broken_files,
    chain,
    contents,
    damages,
    difference,
    explode,
    infer,
    judge,
    judge_names,
    kill_a_run,
    loaded,
    put,
    show,
    tables,
    unclear,
)
from tests.bundles.harness import BUNDLES, command, root

pytestmark = [pytest.mark.attack, pytest.mark.filterwarnings("ignore")]  # libraries warn of the damage made here

HIE = {"tta": False}
RF = {"grid_size": [None, 32], "refine": "none"}
KILLED_CASES = 20


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
        put(folder / name / f"pair{suffix}", content)  # two that are cut to one frame would be a pair in one folder

    attack(tally, tmp_path, "elasto_flow", place, source.read_bytes(), checksum=form in ("npz", "compressed mat"), **RF)


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


@pytest.mark.parametrize(
    "bundle", ["echo_coreecho", "doppler_keypoint", "cmr_hf_classify", "hie_ladp_seg", "elasto_flow"]
)
def test_names(tally, tmp_path, bundle, originals):
    place, content, settings = originals(bundle)
    names = NAMES if bundle != "elasto_flow" else NAMES[::2]  # a pair takes a second
    for name in names:
        if not (bundle == "hie_ladp_seg" and name.startswith(".")):
            place(tmp_path / "data", name, content)
    before = contents(tmp_path / "data")
    rows, failed = infer(bundle, tmp_path / "data", tmp_path / "output", **settings)
    assert contents(tmp_path / "data") == before
    visible = [name for name in names if not name.startswith(".")]
    judge_names(tally, visible, tmp_path / "output", rows, failed, rows["plain"], tmp_path)


@pytest.fixture
def originals(adc, cine, video, pair, screens):
    """What writes a case of a bundle under a name, what it holds, and settings."""

    def adc_case(folder, name, content):
        for kind, path in zip(("1ADC_ss", "2Z_ADC"), adc, strict=True):
            put(folder / kind / f"{name}.mha", path.read_bytes())

    def writer(form):
        return lambda folder, name, content: put(folder / form.format(name), content)

    def cine_case(folder, name, content):
        put(folder / name / "cine_4d.nii.gz", content)

    def original(bundle):
        return {
            "hie_ladp_seg": (adc_case, b"", HIE),
            "cmr_hf_classify": (cine_case, cine.read_bytes(), {}),
            "echo_coreecho": (lambda f, n, c: put(f / f"{n}.avi", c), video.read_bytes(), {}),
            "elasto_flow": (lambda f, n, c: put(f / f"{n}.mat", c), pair.read_bytes(), RF),
            "doppler_keypoint": (
                lambda f, n, c: put(f / f"{n}.dcm", c), next((screens / "dicom").rglob("*.dcm")).read_bytes(), {}
            ),
        }[bundle]  # fmt: skip

    return original


def test_case_names_in_datalist_hie(tally, tmp_path, adc):
    data = tmp_path / "data"
    for number, path in enumerate(adc):
        put(data / f"{number}.mha", path.read_bytes())
    rows = [{"case": name, "adc": "0.mha", "zmap": "1.mha"} for name in ["plain", *LEADING_OUT]]
    write_plain(data / "datalist.csv", rows)
    found, failed = infer("hie_ladp_seg", data, tmp_path / "output", **HIE)
    judge_names(tally, ["plain", *LEADING_OUT], tmp_path / "output", found, failed, found["plain"], tmp_path)


def test_case_names_in_pairs_rf(tally, tmp_path, pair):
    data = tmp_path / "data"
    put(data / "pair.mat", pair.read_bytes())
    rows = [{"case": name, "pre": "pair.mat", "post": "pair.mat"} for name in ["plain", *LEADING_OUT]]
    write_plain(data / "pairs.csv", rows)
    found, failed = infer("elasto_flow", data, tmp_path / "output", **RF)
    judge_names(tally, ["plain", *LEADING_OUT], tmp_path / "output", found, failed, found["plain"], tmp_path)


def write_plain(path, rows):
    """Write a table as a user would, formulas and all."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_cells_of_a_table(tally, tmp_path, screens):
    picture = next((screens / "png").rglob("*.png")).read_bytes()
    rows = []
    for name, cell in {**HALVES, **NO_NUMBERS}.items():
        put(tmp_path / "data" / f"{name}.png", picture)
        rows.append({"filename": f"{name}.png", "cm_s_per_px": cell, "y_baseline": "60", "seconds_per_px": "0.005"})
    write_plain(tmp_path / "data" / "labels.csv", rows)
    found, failed = infer("doppler_keypoint", tmp_path / "data", tmp_path / "output")
    for name in HALVES:
        tally.count(name, False, "refused" if name in failed else difference(found[name], found["point"]))
    for name in NO_NUMBERS:
        tally.count(name, True, unclear(failed[name]["reason"], name) if name in failed else "taken as a number")
    tally.check()


def test_encodings_and_delimiters_of_a_table(tally, tmp_path):
    for number, (name, content) in enumerate(TABLES.items()):
        put(tmp_path / str(number) / "datalist.csv", content)
        try:
            items = csv_datalist(tmp_path / str(number))
        except (UnusableFileError, NoDataError) as error:
            tally.count(name, True, unclear(str(error), "datalist.csv"))
            continue
        read = [(item["case"], Path(item["image"][0]).name) for item in items]
        tally.count(name, False, "" if read == ROWS else f"read as {read}")
    tally.check()


@pytest.fixture
def bounded():
    """Refuse that a test's peak of memory grows by more than 1 GB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    assert grown < 1, f"memory grew by {grown:.1f} GB"


def put_in(folder, name, content):
    put(folder / name, content)


def test_bombs_hie(tally, tmp_path, adc, bounded):
    def place(folder, name, content):
        put(folder / "1ADC_ss" / name, content)
        put(folder / "2Z_ADC" / name, adc[1].read_bytes())

    explode(tally, tmp_path, "hie_ladp_seg", adc_bombs(), place, ("whole.mha", adc[0].read_bytes()), **HIE)


def test_bombs_cmr(tally, tmp_path, cine, bounded):
    def place(folder, name, content):
        put(folder / name.split(".")[0] / name, content)

    explode(tally, tmp_path, "cmr_hf_classify", cine_bombs(), place, ("whole.nii.gz", cine.read_bytes()))


def test_bombs_doppler(tally, tmp_path, screens, bounded):
    source = next((screens / "dicom").rglob("*.dcm"))
    whole = "whole.dcm", source.read_bytes()
    explode(tally, tmp_path, "doppler_keypoint", screen_bombs(source), put_in, whole)


def test_bombs_rf(tally, tmp_path, pair, bounded):
    explode(tally, tmp_path, "elasto_flow", rf_bombs(), put_in, ("whole.mat", pair.read_bytes()), **RF)


def test_bombs_echo(tally, tmp_path, video, bounded):
    explode(tally, tmp_path, "echo_coreecho", echo_bombs(), put_in, ("whole.avi", video.read_bytes()))


def test_a_video_that_claims_another_size(tally, tmp_path, video, bounded):
    """A decoder takes the size from the pictures: the result is the same, or the file is refused."""
    claimed = bytearray(video.read_bytes())
    for place in (claimed.index(b"strf") + 12, claimed.index(b"avih") + 40):
        claimed[place : place + 8] = struct.pack("<II", 65535, 65535)
    put(tmp_path / "data" / "claims.avi", bytes(claimed))
    put(tmp_path / "data" / "whole.avi", video.read_bytes())
    found, failed = infer("echo_coreecho", tmp_path / "data", tmp_path / "output")
    judge(tally, ["claims"], "whole", found["whole"], found, failed)
    tally.check()


WEIGHTS = [(bundle, name) for bundle in BUNDLES for name in ("model.pt", "model.json")]


@pytest.mark.parametrize(("bundle", "name"), [*WEIGHTS, ("hie_ladp_seg", "threshold.json")])
def test_weights(tally, tmp_path, bundle, name):
    source = root(bundle) / "models"
    state, settings, threshold = loaded(bundle, source)
    content = (source / name).read_bytes()
    few = {"flips": 8, "cuts": 2, "blocks": 1} if name == "model.pt" else {"flips": 24, "cuts": 4, "blocks": 0}
    for trial, damaged in damages(content, 5, **few):
        folder = tmp_path / trial
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("pretrained*"))
        (folder / name).write_bytes(damaged)
        try:
            found = loaded(bundle, folder)
        except Exception as error:
            causes = list(chain(error))
            is_named = any(part in text for text in causes for part in (name, *settings))
            tally.count(trial, True, "" if is_named else f"neither file nor setting is named: {causes}")
        else:
            same = list(found[0]) == list(state) and all(torch.equal(found[0][key], state[key]) for key in state)
            problem = "" if same and found[1:] == (settings, threshold) else f"loaded as {found[1:]}"
            tally.count(trial, False, problem)
        shutil.rmtree(folder)
    tally.check()


@pytest.mark.parametrize("bundle", BUNDLES)
def test_kills(bundle, tally, tmp_path, originals):
    """A killed inference leaves whole files only, and the next run in its folder has every case."""
    place, content, settings = originals(bundle)
    for number in range(KILLED_CASES):
        place(tmp_path / "data", f"case{number:02d}", content)
    output = tmp_path / "output"
    folders = {"dataset_dir": str(tmp_path / "data"), "output_dir": str(output)}
    words = command(bundle, "inferring", ["inference.json"], {**folders, **settings})
    random = np.random.default_rng([SEED, 9])
    left = []
    for _ in range(4):
        kill_a_run(words, tmp_path, output / "predictions.csv", float(random.uniform(0, 3)))
        left.append((*tables(output), broken_files(output)))
    expected, failed = infer(bundle, tmp_path / "data", output, **settings)
    assert len(expected) == KILLED_CASES and not failed
    for number, (rows, failed, broken) in enumerate(left):
        wrong = {case: difference(row, expected[case]) for case, row in rows.items()}
        wrong = {case: found for case, found in wrong.items() if found}
        is_held = not (broken or wrong or failed)
        tally.count(number, False, "" if is_held else f"after {len(rows)} cases: {broken}, {wrong}, {failed}")
    tally.check()
