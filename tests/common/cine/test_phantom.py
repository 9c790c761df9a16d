"""Simulated cine MR: exact ejection fraction, conserved wall, public layouts, the same files for the same seed."""

import hashlib
import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from common.cine import cine_datalist, read_cine, simulate_cine_mr
from common.cine.phantoms.chest import CineSettings
from common.cine.phantoms.heart import contraction, simulate_heart

SMALL = {"size": 64, "frames": 12, "slices": 5, "field_of_view_mm": 240.0}
LEFT, WALL, RIGHT = 3, 2, 1


@pytest.fixture(scope="module")
def acdc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acdc")
    return folder, simulate_cine_mr(folder, cases=6, seed=3, **SMALL)


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom")
    return folder, simulate_cine_mr(folder, cases=2, seed=4, layout="dicom", **SMALL)


def test_mask_ef_read_back_equals_the_ef_set(acdc):
    folder, truth = acdc
    measured = {item["case"]: item["ef"] for item in cine_datalist(folder, "all")}
    assert len(measured) == 6
    for row in truth:
        assert measured[row["case"]] == pytest.approx(row["ef"], abs=0.5)


@pytest.mark.parametrize(
    "size,slices,ef", [(64, 5, 18.0), (64, 1, 55.0), (96, 8, 72.0), (48, 3, 15.0), (128, 10, 60.0)]
)
def test_cavity_loses_the_set_share_of_its_voxels(size, slices, ef):
    cine = simulate_heart(np.random.default_rng(5), ef, CineSettings(size, 12, slices))
    before, after = (np.count_nonzero(mask == LEFT) for mask in (cine.diastole, cine.systole))
    # One voxel is the resolution of a volume.
    assert abs(100.0 * (before - after) / before - ef) <= max(50.0 / before, 0.01) + 1e-9


def test_wall_thickens_and_keeps_its_volume():
    cine = simulate_heart(np.random.default_rng(0), 60.0, CineSettings(160, 8, 24, 200.0))
    diastole, systole = (np.count_nonzero(mask == WALL) for mask in (cine.diastole, cine.systole))
    middle = 10
    thicker = np.count_nonzero(cine.systole[middle] == WALL) / np.count_nonzero(cine.diastole[middle] == WALL)
    assert thicker > 1.05
    assert systole == pytest.approx(diastole, rel=0.15)


def test_cavity_tapers_from_base_to_apex():
    cine = simulate_heart(np.random.default_rng(1), 55.0, CineSettings(128, 8, 10))
    areas = [np.count_nonzero(labels == LEFT) for labels in cine.diastole]
    # Near the base the slices are all but equal: the grid may give the lower one a pixel more.
    assert all(first >= second - 1 for first, second in itertools.pairwise(areas))
    assert areas[0] > 0 and areas[-1] == 0


def test_atrium_shows_where_the_base_has_descended_past_a_slice():
    cine = simulate_heart(np.random.default_rng(11), 62.0, CineSettings(96, 20, 10))
    base = 0
    cavity = cine.diastole[base] == LEFT
    assert cavity.any() and not (cine.systole[base] == LEFT).any()
    blood, wall = (np.median(cine.frames[3, 0][cine.diastole[3] == label]) for label in (LEFT, WALL))
    # Blood of the atrium lies in the middle of where the ventricle was, but belongs to no label.
    middle = ndimage.binary_erosion(cavity, iterations=3)
    assert np.median(cine.frames[base, cine.systolic_frame][middle]) > (blood + wall) / 2


def test_blood_is_brighter_than_wall_and_wall_than_lung():
    cine = simulate_heart(np.random.default_rng(2), 55.0, CineSettings(128, 8, 10))
    number = 3
    signal = {label: np.median(cine.frames[number, 0][cine.diastole[number] == label]) for label in (LEFT, WALL)}
    assert signal[LEFT] > 2 * signal[WALL] > 2 * np.percentile(cine.frames[number, 0], 10)


def test_heart_contracts_once_a_beat_and_fills_in_two_steps():
    squeeze = contraction(40, 14)
    assert squeeze[0] == 0.0 and squeeze[14] == pytest.approx(1.0) and squeeze.argmax() == 14
    assert (np.diff(squeeze[:15]) > 0).all() and (np.diff(squeeze[14:]) <= 1e-12).all()
    # Diastasis, between 0.4 and 0.75 of diastole: three tenths of the stroke are still to come.
    assert squeeze[27:33] == pytest.approx(0.3)


def test_about_a_third_of_the_patients_has_reduced_ef(tmp_path):
    truth = simulate_cine_mr(tmp_path, cases=9, size=32, frames=4, slices=1)
    assert sum(row["label"] for row in truth) == 3
    assert all(15 <= row["ef"] <= 45 if row["label"] else 52 <= row["ef"] <= 72 for row in truth)


def test_acdc_files_carry_geometry_and_phases(acdc):
    folder, _ = acdc
    patient = folder / "database" / "training" / "patient001"
    image = nibabel.load(patient / "patient001_4d.nii.gz")
    assert image.shape == (64, 64, 5, 12)
    assert image.header.get_zooms()[0] == pytest.approx(240 / 64)
    info = dict(line.split(": ") for line in (patient / "Info.cfg").read_text().splitlines())
    assert info["ED"] == "1" and (patient / f"patient001_frame{int(info['ES']):02d}_gt.nii.gz").is_file()


def test_dicom_series_reads_back_with_its_geometry(dicom):
    folder, truth = dicom
    cine = read_cine(folder / "patient001")
    assert [found.frames.shape for found in cine.slices] == [(12, 64, 64)] * 5 and cine.skipped == []
    assert cine.notes == [] and all(found.phases is None and found.notes == [] for found in cine.slices)
    assert np.linalg.norm(cine.slices[0].affine[:3, :2], axis=0) == pytest.approx([240 / 64] * 2)
    assert {item["case"]: item["ef"] for item in cine_datalist(folder, "all")} == {r["case"]: r["ef"] for r in truth}


def test_same_seed_writes_the_same_files_and_another_seed_others(tmp_path):
    def digest(seed, layout):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        simulate_cine_mr(folder, cases=1, seed=seed, size=32, frames=4, slices=2, layout=layout)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [(p.name, _content(p)) for p in files if p.suffix != ".csv"]

    for layout in ("acdc", "dicom"):
        assert digest(0, layout) == digest(0, layout)
        assert digest(0, layout) != digest(1, layout)


def test_the_first_patients_alone_are_those_of_the_whole_data_set(tmp_path):
    settings = {"cases": 7, "seed": 3, "size": 32, "frames": 4, "slices": 2}
    truth = simulate_cine_mr(tmp_path / "all", **settings)
    assert simulate_cine_mr(tmp_path / "first", **settings, limit=2) == truth[:2]
    for case in ("patient001", "patient002"):
        for file in (tmp_path / "all" / "database" / "training" / case).iterdir():
            assert _content(tmp_path / "first" / "database" / "training" / case / file.name) == _content(file)


def _content(path: Path) -> str:
    data = np.asarray(nibabel.load(path).dataobj).tobytes() if path.name.endswith(".gz") else path.read_bytes()
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"layout": "sunnybrook"}, "expected layout acdc or dicom"),
        ({"size": 16}, "size >= 32"),
        ({"frames": 2}, "frames >= 4"),
        ({"field_of_view_mm": 100.0}, "140 to 500 mm"),
        ({"reduced_fraction": 1.5}, "fraction of 0 to 1"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        simulate_cine_mr(tmp_path, cases=1, **settings)


def test_a_part_of_no_source_is_refused(tmp_path):
    with pytest.raises(ValueError, match="source_split: expected a source to take test of"):
        simulate_cine_mr(tmp_path, cases=1, source_split="test")


def test_impossible_ejection_fraction_is_refused():
    with pytest.raises(ValueError, match="1 to 90 %"):
        simulate_heart(np.random.default_rng(0), 95.0, CineSettings())
