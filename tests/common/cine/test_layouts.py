"""Each public layout, written in miniature by the test, with ejection fractions counted by hand."""

import logging
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.cine import (
    acdc_datalist,
    cine_cases,
    cine_datalist,
    folder_datalist,
    kaggle_datalist,
    mnms_datalist,
    read_cine,
    sunnybrook_datalist,
)
from tests.dicom_frames import OBLIQUE, write_stack

DATA = Path(__file__).parents[2] / "data" / "sunnybrook_sample"
REAL = Path(__file__).resolve().parents[3] / "../shared/data/sunnybrook"


def by_case(items):
    found = {}
    for item in items:
        found.setdefault(item["case"], []).append(item["section"])
    return found


def save(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.5, 1.5, 8, 1])), path)


def voxels(frames=4):
    return np.random.default_rng(0).integers(0, 500, (6, 6, 3, frames)).astype(np.int16)


def mask(label, count):
    """Count voxels of the cavity in section 1, with the other two labels elsewhere."""
    image = np.zeros((6, 6, 3), np.uint8)
    image.reshape(36, 3)[:count, 1] = label
    image[5, :, :] = [[other] * 3 for other in [k for k in (1, 2, 3) if k != label] * 3]
    return image


def write_acdc(folder, name="patient001", systolic=5):
    save(folder / name / f"{name}_4d.nii.gz", voxels())
    (folder / name / "Info.cfg").write_text("ED: 2\nES: 4\nGroup: DCM\nHeight: 160.0\nNbFrame: 4\nWeight: 70.0\n")
    save(folder / name / f"{name}_frame02_gt.nii.gz", mask(3, 20))
    save(folder / name / f"{name}_frame04_gt.nii.gz", mask(3, systolic))


@pytest.mark.parametrize("inside", ["database/training", "training", "."])
def test_acdc_ef_comes_from_label_3_of_the_frames_in_info_cfg(tmp_path, inside):
    write_acdc(tmp_path / inside)
    items = acdc_datalist(tmp_path)
    path = str(tmp_path / inside / "patient001" / "patient001_4d.nii.gz")
    assert items == [{"case": "patient001", "section": 1, "image": path, "label": 0, "ef": 75.0}]
    assert cine_datalist(tmp_path, "all") == items
    assert [item["section"] for item in acdc_datalist(tmp_path, sections="all")] == [0, 1, 2]


def test_acdc_threshold_moves_the_class(tmp_path):
    write_acdc(tmp_path, systolic=11)
    assert [acdc_datalist(tmp_path, ef_threshold=t)[0]["label"] for t in (40.0, 50.0)] == [0, 1]


def test_acdc_patient_without_masks_is_logged_and_listed_only_unlabelled(tmp_path, caplog):
    write_acdc(tmp_path)
    write_acdc(tmp_path, "patient002")
    (tmp_path / "patient002" / "patient002_frame04_gt.nii.gz").unlink()
    with caplog.at_level(logging.WARNING):
        assert set(by_case(acdc_datalist(tmp_path))) == {"patient001"}
    assert "1 patients without a label: patient002" in caplog.text
    assert by_case(acdc_datalist(tmp_path, labelled=False)) == {"patient001": [1], "patient002": [0, 1, 2]}
    assert "label" not in acdc_datalist(tmp_path, labelled=False)[0]


def test_mnms_counts_frames_from_zero_and_the_cavity_is_label_1(tmp_path):
    labels = np.zeros((6, 6, 3, 4), np.uint8)
    labels[..., 0], labels[..., 2] = mask(1, 20), mask(1, 14)
    for split, code in (("Training/Labeled", "A1B2C3"), ("Training/Unlabeled", "D4E5F6")):
        save(tmp_path / "OpenDataset" / split / code / f"{code}_sa.nii.gz", voxels())
    save(tmp_path / "OpenDataset" / "Training/Labeled" / "A1B2C3" / "A1B2C3_sa_gt.nii.gz", labels)
    (tmp_path / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv").write_text(
        ",External code,VendorName,Pathology,ED,ES\n0,A1B2C3,Siemens,DCM,0,2\n1,D4E5F6,GE,NOR,0,2\n"
    )
    items = mnms_datalist(tmp_path)
    assert [(item["case"], item["section"], item["label"]) for item in items] == [("A1B2C3", 1, 1)]
    assert items[0]["ef"] == pytest.approx(30.0)
    assert by_case(cine_datalist(tmp_path, "all", labelled=False)) == {"A1B2C3": [1], "D4E5F6": [0, 1, 2]}


def test_kaggle_ef_comes_from_the_volumes_and_other_views_are_left_out(tmp_path, caplog):
    for case in ("1", "2"):
        for s in range(2):
            write_stack(tmp_path / "train" / case / "study" / f"sax_{s + 5}", sections=1, SeriesNumber=s)
        write_stack(tmp_path / "train" / case / "study" / "2ch_21", sections=1, orientation=OBLIQUE)
    # Both sax folders hold the same position: repetitions of one section.
    (tmp_path / "train.csv").write_text("Id,Systole,Diastole\n1,60.0,80.0\n3,1,2\n")
    with caplog.at_level(logging.WARNING):
        items = kaggle_datalist(tmp_path)
    assert [(item["case"], item["section"], item["label"], item["ef"]) for item in items] == [("1", 0, 1, 25.0)]
    assert all("sax_6" in path for path in items[0]["image"])
    assert "1 patients without a label: 2" in caplog.text


def public_sunnybrook(root):
    series = root / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300"
    series.mkdir(parents=True)
    for file in (DATA / "SCD0000101").glob("*.dcm"):
        shutil.copy(file, series / f"IM-0003-{int(file.stem):04d}.dcm")
    contours = root / "SCD_ManualContours" / "SC-HF-I-01" / "contours-manual" / "IRCCI-expert"
    contours.mkdir(parents=True)
    for file in (DATA / "contours" / "SC-HF-I-1").rglob("*.txt"):
        shutil.copy(file, contours / file.name)
    (root / "scd_patientdata.csv").write_text(
        "PatientID,OriginalID,Gender,Age,Pathology\nSCD0000101,SC-HF-I-1,Male,59,Heart failure with infarct\n"
    )


def test_sunnybrook_gives_the_same_in_both_layouts(tmp_path):
    public_sunnybrook(tmp_path)
    public, plain = sunnybrook_datalist(tmp_path), sunnybrook_datalist(DATA)
    assert [(i["case"], i["section"], i["label"], i["ef"]) for i in public] == [
        (i["case"], i["section"], i["label"], i["ef"]) for i in plain
    ]
    assert by_case(public) == {"SCD0000101": [0, 1]} and public[0]["label"] == 1
    assert all(len(item["image"]) == 20 for item in public)


def test_sunnybrook_without_contours_takes_the_class_from_the_group(tmp_path):
    public_sunnybrook(tmp_path)
    shutil.rmtree(tmp_path / "SCD_ManualContours")
    item = sunnybrook_datalist(tmp_path)[0]
    assert item["label"] == 1 and np.isnan(item["ef"])


def test_contours_match_files_that_were_renamed_by_the_instance_number(tmp_path):
    shutil.copytree(DATA, tmp_path / "data")
    for file in (tmp_path / "data" / "SCD0000101").glob("*.dcm"):
        file.rename(file.with_name(f"x{1000 + int(file.stem)}.dcm"))
    assert sunnybrook_datalist(tmp_path / "data")[0]["ef"] == sunnybrook_datalist(DATA)[0]["ef"]


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the Sunnybrook patients are not beside the repository")
def test_contours_of_three_real_patients_give_the_known_ef():
    ef = {item["case"]: item["ef"] for item in cine_datalist(REAL, "all")}
    assert ef == pytest.approx({"SCD0000101": 26.2, "SCD0000201": 25.5, "SCD0000301": 21.8}, abs=0.5)


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the Sunnybrook patients are not beside the repository")
@pytest.mark.parametrize("case,sections,gap", [("SCD0000101", 12, 10), ("SCD0000201", 13, 10), ("SCD0000301", 10, 8)])
def test_real_patients_read_whole_with_the_distance_along_the_normal(case, sections, gap):
    cine = read_cine(REAL / case)
    assert cine.frames.shape == (sections, 20, 256, 256) and cine.sections_skipped == []
    assert cine.spacing_mm[2] == pytest.approx(gap, abs=0.01)


def any_folder(root):
    write_stack(root / "anna" / "deep", sections=2)
    save(root / "bert.nii.gz", voxels())
    save(root / "carl" / "cine.nii.gz", voxels())


def test_folder_of_dicom_and_nifti_patients_with_labels_csv(tmp_path, caplog):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_text("patient_id,ef\nanna,35\nbert,61.5\nghost,20\n")
    with caplog.at_level(logging.WARNING):
        items = folder_datalist(tmp_path)
    assert by_case(items) == {"anna": [0, 1], "bert": [0, 1, 2]}
    assert {item["case"]: (item["label"], item["ef"]) for item in items} == {"anna": (1, 35.0), "bert": (0, 61.5)}
    assert "labels of 1 patients that are not there: ghost" in caplog.text
    assert "1 patients without a label: carl" in caplog.text


def test_labels_csv_may_give_the_class(tmp_path):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_text("patient_id,label\nanna,1\nbert,HFpEF\n")
    assert {item["case"]: item["label"] for item in folder_datalist(tmp_path)} == {"anna": 1, "bert": 0}


@pytest.mark.parametrize("cell", ["300", "high"])
def test_unusable_label_is_logged_by_name(tmp_path, caplog, cell):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_text(f"patient_id,ef\nanna,{cell}\nbert,50\n")
    with caplog.at_level(logging.WARNING):
        assert set(by_case(folder_datalist(tmp_path))) == {"bert"}
    assert "row of anna is not usable" in caplog.text


def test_cases_of_any_folder_single_patient_and_single_file(tmp_path):
    any_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    cases = cine_cases(tmp_path)
    assert [case["case"] for case in cases] == ["anna", "bert", "carl", "empty"]
    assert read_cine(cases[0]["image"]).frames.shape[0] == 2
    assert cine_cases(tmp_path / "anna" / "deep") == [{"case": "deep", "image": str(tmp_path / "anna" / "deep")}]
    assert cine_cases(tmp_path / "bert.nii.gz") == [{"case": "bert", "image": str(tmp_path / "bert.nii.gz")}]


def test_files_without_suffix_are_known_by_their_content(tmp_path):
    write_stack(tmp_path / "dora", sections=1)
    for file in sorted((tmp_path / "dora").iterdir()):
        file.rename(file.with_suffix(""))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README").write_text("no image")
    assert [case["case"] for case in cine_cases(tmp_path)] == ["dora"]
    assert [case["case"] for case in cine_cases(tmp_path / "dora")] == ["dora"]


def test_one_acdc_patient_alone_is_one_case(tmp_path):
    write_acdc(tmp_path)
    assert [case["case"] for case in cine_cases(tmp_path / "patient001")] == ["patient001"]


def test_same_name_in_two_splits_stays_apart(tmp_path):
    for split in ("train", "validate"):
        write_stack(tmp_path / split / "7" / "study" / "sax_1", sections=1)
    assert len({case["case"] for case in cine_cases(tmp_path)}) == 2
