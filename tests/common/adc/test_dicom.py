import shutil

import numpy as np
import pytest

from common.adc import LoadVolumed, dicom_datalist, neonatal_adc_datalist, read_grid, read_volume, write_on_grid
from common.errors import NoDataError, UnusableFileError
from tests.common.data.test_dicom_volume import AFFINES, change, oblique
from tests.dicom_cases import write_maps, write_series
from tests.dicom_frames import textured, write_frame

SIZE = (20, 18, 4)
STUDY = {"StudyInstanceUID": "1.2.840.99.1"}


def maps():
    generator = np.random.default_rng(0)
    return generator.integers(800, 1600, SIZE).astype(float), generator.integers(-5, 5, SIZE).astype(float)


@pytest.fixture
def study(tmp_path):
    return write_maps(tmp_path / "in" / "anna", *maps(), oblique())


def test_a_study_is_a_case_with_its_adc_first(study):
    write_frame(study / "dwi.dcm", textured(1), SeriesInstanceUID="1.2.9", SeriesDescription="DWI", **STUDY)
    (item,) = dicom_datalist(study.parent)
    assert item["case"] == "anna" and "refused" not in item
    for path, wanted in zip(item["image"], maps(), strict=True):
        voxels, grid = read_volume(path)
        np.testing.assert_allclose(voxels[0].sum(), wanted.sum(), rtol=1e-4)
        assert grid.size == SIZE and voxels.shape == (1, *SIZE)
    assert neonatal_adc_datalist(study)[0]["image"] == item["image"], "the folder of the study itself is one case"


def test_copies_of_a_study_are_a_case_each(study):
    shutil.copytree(study, study.parent / "copy_of_anna")
    items = dicom_datalist(study.parent)
    assert [item["case"] for item in items] == ["anna", "copy_of_anna"]
    assert all(item["case"] in path for item in items for path in item["image"])


def test_two_studies_are_two_cases(study):
    write_maps(study.parent / "bea", *maps(), oblique(), StudyInstanceUID="1.2.840.99.55")
    assert [item["case"] for item in dicom_datalist(study.parent)] == ["anna", "bea"]


@pytest.mark.parametrize(
    ("description", "word"),
    [("ADC (10^-6)", "ADC"), ("Apparent Diffusion Coeff", "ADC"), ("dADC map", "none"), ("Z_ADC", "Z"), ("zmap", "Z")],
)
def test_series_are_told_by_their_description(description, word, tmp_path):
    write_frame(tmp_path / "a.dcm", textured(1), SeriesDescription=description)
    refused = dicom_datalist(tmp_path)[0]["refused"]
    missing = {"ADC": "Z map", "Z": "ADC map", "none": "Z map"}[word]
    assert f"expected one series that is the {missing} by its description, found 0" in refused


def test_maps_of_two_studies_are_refused_by_name(study):
    for file in (study / "Z-score").glob("*.dcm"):
        change(file, StudyInstanceUID="1.2.840.99.66")
    items = dicom_datalist(study.parent)
    assert "expected ADC and Z of one study, found 2 studies" in items[0]["refused"]


DAMAGED = [b"", b"an error page of a server", bytes(128) + b"DICM" + b"\xff" * 90]


@pytest.mark.parametrize("content", DAMAGED, ids=["empty", "text", "garbage"])
def test_a_damaged_file_refuses_its_case_alone(study, content, caplog):
    """Of its first and last slice too, without which the others would be a smaller brain at even steps."""
    good = write_maps(study.parent / "bea", *maps(), oblique(), StudyInstanceUID="1.2.840.99.55")
    (study.parent / "cut_off").mkdir()
    (study.parent / "notes").mkdir()
    (study.parent / "notes" / "a.txt").write_text("a note")
    (study / "ADC" / "000.dcm").write_bytes(content)
    items = {item["case"]: item for item in neonatal_adc_datalist(study.parent)}
    assert items.keys() == {"anna", "bea", "cut_off"} and "refused" not in items["bea"]
    assert f"{study / 'ADC' / '000.dcm'}: expected a" in items["anna"]["refused"]
    assert "cut_off: expected DICOM series of ADC and Z, found an empty folder" in items["cut_off"]["refused"]
    assert "not used notes: holds no DICOM file" in caplog.text
    for file in study.rglob("*.dcm"):
        file.write_bytes(content)
    items = {item["case"]: item for item in neonatal_adc_datalist(study.parent)}
    assert "refused" not in items["bea"] and "expected a" in items["anna"]["refused"]
    assert items["bea"]["image"] == [str(good / name / "000.dcm") for name in ("ADC", "Z-score")]


def test_a_folder_without_dicom_is_no_case(tmp_path):
    (tmp_path / "a.txt").write_text("nothing")
    assert dicom_datalist(tmp_path) == [] and dicom_datalist(tmp_path / "none") == []
    with pytest.raises(NoDataError, match="DICOM series of ADC and Z"):
        neonatal_adc_datalist(tmp_path)


@pytest.mark.parametrize(
    ("unit", "factor"), [("um2/s", 1), ("10^-6 mm²/s", 1), ("mm2/s", 1e6), ("10-3.mm2/s", 1e3), ("US", 1), (None, 1)]
)
def test_diffusion_comes_in_millionths(unit, factor, tmp_path):
    stored = np.arange(1, 1 + np.prod(SIZE), dtype=np.int16).reshape(SIZE)
    write_series(tmp_path, stored, AFFINES["axial"], 2 / factor, **({"RescaleType": unit} if unit else {}))
    voxels, _ = read_volume(tmp_path)
    np.testing.assert_allclose(voxels[0], 2 * stored, rtol=1e-5)


def test_a_z_score_that_rounds_to_0_in_the_brain_is_no_background(tmp_path):
    adc, z = maps()
    adc[:3], z[:5] = 0, 0.0001
    write_maps(tmp_path, adc, z, oblique())
    loaded = LoadVolumed("image")({"image": [str(tmp_path / name / "000.dcm") for name in ("ADC", "Z-score")]})
    found = np.asarray(loaded["image"])
    assert sorted(int((channel == 0).sum()) for channel in found) == [3 * 18 * 4] * 2
    assert np.abs(found[1]).max() <= 5 and ((found[1] != 0) & (np.abs(found[1]) < 1e-5)).sum() >= 2 * 18 * 4


def test_another_unit_is_named(tmp_path):
    write_series(tmp_path, np.ones(SIZE, np.int16), AFFINES["axial"], 1, RescaleType="HU")
    with pytest.raises(UnusableFileError, match="found the unit 'HU'"):
        read_volume(tmp_path)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_mask_is_written_where_the_series_lies(affine, tmp_path):
    write_series(tmp_path / "in", np.ones(SIZE, np.int16), affine, 1)
    mask = np.random.default_rng(1).random(SIZE) > 0.5
    write_on_grid(mask, tmp_path / "mask.nii.gz", tmp_path / "in" / "000.dcm")
    voxels, grid = read_volume(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(voxels[0], mask)
    np.testing.assert_allclose(grid.affine, read_grid(tmp_path / "in").affine, atol=1e-4)  # single precision
    with pytest.raises(ValueError, match="expected the format"):
        write_on_grid(mask, tmp_path / "mask.mha", tmp_path / "in")
