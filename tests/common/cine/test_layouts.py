"""Each public layout, written in miniature by the test, with ejection fractions counted by hand."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from common.cine import LoadCinePatient, cine_cases, cine_datalist, read_cine
from common.errors import UnusableFileError
from tests.common.cine.layout_files import any_folder, by_case, mask, save, voxels
from tests.dicom_frames import OBLIQUE, write_stack

DATA = Path(__file__).parents[2] / "data" / "sunnybrook_sample"
REAL = Path(__file__).resolve().parents[3] / "../shared/data/sunnybrook"


def write_acdc(folder, name="patient001", systolic=5):
    save(folder / name / f"{name}_4d.nii.gz", voxels())
    (folder / name / "Info.cfg").write_text("ED: 2\nES: 4\nGroup: DCM\nHeight: 160.0\nNbFrame: 4\nWeight: 70.0\n")
    save(folder / name / f"{name}_frame02_gt.nii.gz", mask(3, 20))
    save(folder / name / f"{name}_frame04_gt.nii.gz", mask(3, systolic))


@pytest.mark.parametrize("value", [np.nan, 2.5, -1, 255])
def test_a_mask_with_other_values_than_labels_gives_no_ejection_fraction(tmp_path, caplog, value):
    write_acdc(tmp_path, "patient001")
    write_acdc(tmp_path, "patient002")
    image = mask(3, 5).astype(np.float32)
    image[0, 0, 0] = value
    save(tmp_path / "patient002" / "patient002_frame04_gt.nii.gz", image)
    assert {item["case"] for item in cine_datalist(tmp_path, "all")} == {"patient001"}
    assert f"frame04_gt.nii.gz: expected a mask of the labels 0 to 3, found [{float(value)}] in it" in caplog.text


@pytest.mark.parametrize("systolic", [20, 25], ids=["of one size", "exchanged"])
def test_masks_whose_systole_is_not_the_smaller_one_give_no_ejection_fraction(tmp_path, caplog, systolic):
    write_acdc(tmp_path, "patient001")
    write_acdc(tmp_path, "patient002", systolic=systolic)
    assert {item["case"] for item in cine_datalist(tmp_path, "all")} == {"patient001"}
    expected = f"expected a diastolic volume and a smaller systolic one, found 20 and {systolic}"
    assert f"patient002: no ejection fraction from masks or contours: {expected}" in caplog.text


@pytest.mark.parametrize("inside", ["database/training", "training", "."])
def test_acdc_ef_comes_from_label_3_of_the_frames_in_info_cfg(tmp_path, inside):
    write_acdc(tmp_path / inside)
    items = cine_datalist(tmp_path, "all")
    path = str(tmp_path / inside / "patient001" / "patient001_4d.nii.gz")
    expected = {"case": "patient001", "slice_number": 1, "image": path, "label": 0, "ef": 75.0}
    assert [{key: item[key] for key in expected} for item in items] == [expected]
    assert [item["slice_number"] for item in cine_datalist(tmp_path, "all", slices="all")] == [0, 1, 2]


def test_acdc_threshold_moves_the_class(tmp_path):
    write_acdc(tmp_path, systolic=11)
    assert [cine_datalist(tmp_path, "all", ef_threshold=t)[0]["label"] for t in (40.0, 50.0)] == [0, 1]


def test_acdc_patient_without_masks_is_logged_and_listed_only_unlabelled(tmp_path, caplog):
    write_acdc(tmp_path)
    write_acdc(tmp_path, "patient002")
    (tmp_path / "patient002" / "patient002_frame04_gt.nii.gz").unlink()
    with caplog.at_level(logging.WARNING):
        assert set(by_case(cine_datalist(tmp_path, "all"))) == {"patient001"}
    assert "1 patients without a label: patient002" in caplog.text
    assert by_case(cine_datalist(tmp_path, "all", labelled=False)) == {"patient001": [1], "patient002": [0, 1, 2]}
    assert "label" not in cine_datalist(tmp_path, "all", labelled=False)[0]


def test_mnms_counts_frames_from_zero_and_the_cavity_is_label_1(tmp_path):
    labels = np.zeros((6, 6, 3, 4), np.uint8)
    labels[..., 0], labels[..., 2] = mask(1, 20), mask(1, 14)
    for split, code in (("Training/Labeled", "A1B2C3"), ("Training/Unlabeled", "D4E5F6")):
        save(tmp_path / "OpenDataset" / split / code / f"{code}_sa.nii.gz", voxels())
    save(tmp_path / "OpenDataset" / "Training/Labeled" / "A1B2C3" / "A1B2C3_sa_gt.nii.gz", labels)
    (tmp_path / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv").write_text(
        ",External code,VendorName,Pathology,ED,ES\n0,A1B2C3,Siemens,DCM,0,2\n1,D4E5F6,GE,NOR,0,2\n"
    )
    items = cine_datalist(tmp_path, "all")
    assert [(item["case"], item["slice_number"], item["label"]) for item in items] == [("A1B2C3", 1, 1)]
    assert items[0]["ef"] == pytest.approx(30.0)
    assert by_case(cine_datalist(tmp_path, "all", labelled=False)) == {"A1B2C3": [1], "D4E5F6": [0, 1, 2]}


def test_kaggle_ef_comes_from_the_volumes_and_other_views_are_left_out(tmp_path, caplog):
    for case in ("1", "2"):
        for s in range(2):
            write_stack(tmp_path / "train" / case / "study" / f"sax_{s + 5}", slices=1, SeriesNumber=s)
        write_stack(tmp_path / "train" / case / "study" / "2ch_21", slices=1, orientation=OBLIQUE)
    # Both sax folders hold the same position: repetitions of one slice.
    (tmp_path / "train.csv").write_text("Id,Systole,Diastole\n1,60.0,80.0\n3,1,2\n")
    with caplog.at_level(logging.WARNING):
        items = cine_datalist(tmp_path, "all")
    assert [(item["case"], item["slice_number"], item["label"], item["ef"]) for item in items] == [("1", 0, 1, 25.0)]
    assert all("sax_6" in path for path in items[0]["image"]), "the latest, not the long axis of as many positions"
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
    public, plain = cine_datalist(tmp_path, "all"), cine_datalist(DATA, "all")
    assert [(i["case"], i["slice_number"], i["label"], i["ef"]) for i in public] == [
        (i["case"], i["slice_number"], i["label"], i["ef"]) for i in plain
    ]
    assert by_case(public) == {"SCD0000101": [0, 1]} and public[0]["label"] == 1
    assert all(len(item["image"]) == 20 for item in public)


def test_sunnybrook_without_contours_takes_the_class_from_the_group(tmp_path):
    public_sunnybrook(tmp_path)
    shutil.rmtree(tmp_path / "SCD_ManualContours")
    item = cine_datalist(tmp_path, "all")[0]
    assert item["label"] == 1 and np.isnan(item["ef"])


def test_contours_match_files_that_were_renamed_by_the_instance_number(tmp_path):
    shutil.copytree(DATA, tmp_path / "data")
    for file in (tmp_path / "data" / "SCD0000101").glob("*.dcm"):
        file.rename(file.with_name(f"x{1000 + int(file.stem)}.dcm"))
    assert cine_datalist(tmp_path / "data", "all")[0]["ef"] == cine_datalist(DATA, "all")[0]["ef"]


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the Sunnybrook patients are not beside the repository")
def test_contours_of_three_real_patients_give_the_known_ef():
    ef = {item["case"]: item["ef"] for item in cine_datalist(REAL, "all")}
    assert ef == pytest.approx({"SCD0000101": 26.2, "SCD0000201": 25.5, "SCD0000301": 21.8}, abs=0.5)


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the Sunnybrook patients are not beside the repository")
@pytest.mark.parametrize("case,slices,gap", [("SCD0000101", 12, 10), ("SCD0000201", 13, 10), ("SCD0000301", 10, 8)])
def test_real_patients_read_whole_with_the_distance_along_the_normal(case, slices, gap):
    cine = read_cine(REAL / case)
    assert [found.frames.shape for found in cine.slices] == [(20, 256, 256)] * slices and cine.skipped == []
    origins = np.array([found.affine[:3, 3] for found in cine.slices])
    assert np.linalg.norm(np.diff(origins, axis=0), axis=1) == pytest.approx(gap, abs=0.01)


def test_cases_of_any_folder_single_patient_and_single_file(tmp_path):
    any_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    cases = cine_cases(tmp_path)
    assert [case["case"] for case in cases] == ["anna", "bert", "carl", "empty"]
    assert read_cine(cases[0]["image"]).slices[1].number == 1
    assert cine_cases(tmp_path / "anna" / "deep") == [{"case": "deep", "image": str(tmp_path / "anna" / "deep")}]
    assert cine_cases(tmp_path / "bert.nii.gz") == [{"case": "bert", "image": str(tmp_path / "bert.nii.gz")}]


def test_files_without_suffix_are_known_by_their_content(tmp_path):
    write_stack(tmp_path / "dora", slices=1)
    for file in sorted((tmp_path / "dora").iterdir()):
        file.rename(file.with_suffix(""))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README").write_text("no image")
    assert [case["case"] for case in cine_cases(tmp_path)] == ["dora"]
    assert [case["case"] for case in cine_cases(tmp_path / "dora")] == ["dora"]


def test_one_acdc_patient_alone_is_one_case(tmp_path):
    write_acdc(tmp_path)
    assert [case["case"] for case in cine_cases(tmp_path / "patient001")] == ["patient001"]


def test_images_of_acdc_side_by_side_are_a_patient_each(tmp_path):
    for name in ("patient001", "patient002"):
        write_acdc(tmp_path / "from", name)
        image = next((tmp_path / "from" / name).glob("*_4d.nii.gz"))
        (tmp_path / "flat").mkdir(exist_ok=True)
        image.rename(tmp_path / "flat" / image.name)
    assert [case["case"] for case in cine_cases(tmp_path / "flat")] == ["patient001_4d", "patient002_4d"]


def test_same_name_in_two_splits_stays_apart(tmp_path):
    for split in ("train", "validate"):
        write_stack(tmp_path / split / "7" / "study" / "sax_1", slices=1)
    assert len({case["case"] for case in cine_cases(tmp_path)}) == 2


def unused(caplog):
    return [record.getMessage() for record in caplog.records if "not used" in record.getMessage()]


@pytest.mark.parametrize("name", ["sa.nii.gz", "cine_SAX.nii", "4d_short-axis.nii.gz"])
def test_of_several_nifti_cines_the_one_named_short_axis_is_taken(tmp_path, caplog, name):
    for file in (name, "la_2ch.nii.gz", "la_4ch.nii.gz"):
        save(tmp_path / "anna" / file, voxels())
    with caplog.at_level(logging.WARNING):
        assert cine_cases(tmp_path) == [{"case": "anna", "image": str(tmp_path / "anna" / name)}]
    lines = unused(caplog)
    assert len(lines) == 2
    assert all(f"la_{k}ch.nii.gz: {name} beside it is taken" in line for k, line in zip("24", lines, strict=True))
    assert np.array_equal(read_cine(tmp_path / "anna").slices[0].frames[0], voxels()[:, :, 0, 0].T)


def test_of_a_nifti_cine_and_a_mask_the_cine_is_taken(tmp_path):
    save(tmp_path / "anna" / "a.nii.gz", mask(3, 20))
    save(tmp_path / "anna" / "b.nii.gz", voxels())
    assert cine_cases(tmp_path)[0]["image"] == str(tmp_path / "anna" / "b.nii.gz")


def test_patient_whose_cine_is_in_doubt_is_listed_and_fails_by_name(tmp_path, caplog):
    for name in ("one.nii.gz", "two.nii.gz"):
        save(tmp_path / "anna" / name, voxels())
    assert cine_cases(tmp_path) == [{"case": "anna", "image": str(tmp_path / "anna")}]
    with pytest.raises(
        UnusableFileError, match=r"anna: expected one short-axis cine, found one\.nii\.gz, two\.nii\.gz"
    ):
        read_cine(tmp_path / "anna")
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="expected slices to work on"):
        cine_datalist(tmp_path, "all", labelled=False)
    assert "anna: left out: " in caplog.text and "one.nii.gz, two.nii.gz" in caplog.text


def test_hidden_files_are_neither_cases_nor_rivals(tmp_path):
    save(tmp_path / "anna" / "scan.nii.gz", voxels())
    save(tmp_path / "bert.nii.gz", voxels())
    for name in ("anna/._scan.nii.gz", "._bert.nii.gz", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"hidden")
    assert [Path(case["image"]).name for case in cine_cases(tmp_path)] == ["scan.nii.gz", "bert.nii.gz"]


def test_what_matches_no_layout_is_named_once_with_its_reason(tmp_path, caplog):
    save(tmp_path / "anna" / "scan.nii.gz", voxels())
    (tmp_path / "zipped").mkdir()
    (tmp_path / "zipped" / "scan.zip").write_bytes(b"PK")
    (tmp_path / "video.webm").write_bytes(b"video")
    (tmp_path / "label.csv").write_text("patient_id,ef\nanna,50\n")
    (tmp_path / "labels.csv").write_text("patient_id,ef\nanna,50\n")
    with caplog.at_level(logging.WARNING):
        assert [case["case"] for case in cine_cases(tmp_path)] == ["anna"]
    text = unused(caplog)
    assert len(text) == 3
    assert any("zipped: an archive; unpack it" in line for line in text)
    assert any("video.webm: not part of the layout" in line for line in text)
    assert any("label.csv: not part of the layout" in line for line in text), "a misspelt table is no table"


def test_patient_of_another_layout_is_named(tmp_path, caplog):
    write_acdc(tmp_path / "database" / "training")
    save(tmp_path / "database" / "extra" / "scan.nii.gz", voxels())
    with caplog.at_level(logging.WARNING):
        assert [case["case"] for case in cine_cases(tmp_path)] == ["patient001"]
    assert any("database/extra: not part of the layout: ACDC" in line for line in unused(caplog))


def test_images_in_a_patients_folder_that_are_not_read_are_named(tmp_path, caplog):
    write_acdc(tmp_path / "a")
    for name in ("extra.nii.gz", "copy/patient001_4d.nii", "patient001_frame02.nii.gz"):
        save(tmp_path / "a" / "patient001" / name, voxels())
    (tmp_path / "a" / "patient001" / "MANDATORY_CITATION.md").write_text("text")
    save(tmp_path / "m" / "A1" / "A1_sa.nii.gz", voxels())
    save(tmp_path / "m" / "A1" / "A1_sa_gt.nii.gz", voxels())
    save(tmp_path / "m" / "A1" / "A1_la.nii.gz", voxels())
    with caplog.at_level(logging.WARNING):
        assert [case["case"] for folder in "am" for case in cine_cases(tmp_path / folder)] == ["patient001", "A1"]
    assert [line.split(": not used ")[1] for line in unused(caplog)] == [
        "patient001/copy/patient001_4d.nii: of this patient patient001_4d.nii.gz is read",
        "patient001/extra.nii.gz: of this patient patient001_4d.nii.gz is read",
        "A1/A1_la.nii.gz: of this patient A1_sa.nii.gz is read",
    ]


def test_nifti_files_beside_dicom_files_are_named_in_every_layout(tmp_path, caplog):
    write_stack(tmp_path / "loose")
    write_stack(tmp_path / "scd" / "SCD0000101" / "CINESAX_300")
    write_stack(tmp_path / "scd" / "SCD0000101" / "CINELAX_301")
    write_stack(tmp_path / "kaggle" / "train" / "1" / "study" / "sax_5")
    folders = ["loose", "scd/SCD0000101", "scd/SCD0000101/CINESAX_300", "kaggle/train/1", "kaggle/train/1/study"]
    for folder in folders:
        save(tmp_path / folder / "mask.nii.gz", mask(3, 20))
    with caplog.at_level(logging.WARNING):
        for folder in ("loose", "scd", "kaggle"):
            assert len(cine_cases(tmp_path / folder)) == 1
    beside = "not a cine (4D); the DICOM files beside it are taken"
    assert [line.split(": not used ")[1] for line in unused(caplog)] == [
        f"mask.nii.gz: {beside}",
        f"SCD0000101/CINESAX_300/mask.nii.gz: {beside}",
        "SCD0000101/CINELAX_301: of this patient CINESAX_300 is read",
        "SCD0000101/mask.nii.gz: of this patient CINESAX_300 is read",
        f"train/1/study/mask.nii.gz: {beside}",
        "train/1/mask.nii.gz: of this patient study is read",
    ]


def test_public_sunnybrook_leaves_nothing_unused(tmp_path, caplog):
    public_sunnybrook(tmp_path)
    with caplog.at_level(logging.WARNING):
        cine_cases(tmp_path)
    assert unused(caplog) == []


def test_two_files_of_one_name_are_both_listed_and_train_once(tmp_path, caplog):
    for name in ("p5.nii", "p5.nii.gz"):
        save(tmp_path / name, voxels())
    assert [case["case"] for case in cine_cases(tmp_path)] == ["p5", "p5"]
    with caplog.at_level(logging.WARNING):
        assert by_case(cine_datalist(tmp_path, "all", labelled=False)) == {"p5": [0, 1, 2]}
    assert "p5.nii.gz: left out: p5.nii has this name already" in caplog.text


def test_folders_named_by_uid_are_patients_of_their_own(tmp_path):
    for name in ("1.2.840.1", "1.2.840.2"):
        write_stack(tmp_path / name, slices=1)
    save(tmp_path / "1.2.840.3.NII.GZ", voxels())
    assert [case["case"] for case in cine_cases(tmp_path)] == ["1.2.840.1", "1.2.840.2", "1.2.840.3"]


def test_folders_with_the_slices_of_one_study_are_doubted_and_stay_in_one_split(tmp_path):
    for number in range(3):
        write_stack(
            tmp_path / f"anna_{number}",
            slices=1,
            shape=(30, 40),
            StudyInstanceUID="1.2.7.1",
            SeriesInstanceUID=f"1.2.8.{number}",
        )
    for number in range(2, 8):
        write_stack(tmp_path / f"case_{number}", slices=1, StudyInstanceUID=f"1.2.7.{number}")
    (tmp_path / "labels.csv").write_text(
        "patient_id,ef\n"
        + "".join(f"{folder.name},{20 + 5 * n}\n" for n, folder in enumerate(sorted(tmp_path.iterdir())))
    )
    doubts = {case["case"]: case.get("doubts") for case in cine_cases(tmp_path)}
    assert doubts["anna_0"] == ["of one study with anna_1, anna_2: put the slices of one heart into one folder"]
    assert [case for case, said in doubts.items() if said] == ["anna_0", "anna_1", "anna_2"]
    read = LoadCinePatient()({**cine_cases(tmp_path)[0], "case": "anna_0"})[0]
    assert json.loads(read["doubts"])[0] == doubts["anna_0"][0]
    for split in ("training", "validation", "test"):
        found = set(by_case(cine_datalist(tmp_path, split, folds=3, ef_threshold=40)))
        assert len({case for case in found if "anna" in case}) in (0, 3)


def test_patients_that_share_study_and_series_are_doubted_and_may_be_divided(tmp_path):
    for number in range(6):
        write_stack(tmp_path / f"case_{number}", slices=1, StudyInstanceUID="1.2.7.1", SeriesInstanceUID="1.2.8.1")
    rows = "".join(f"case_{number},{20 + 10 * number}\n" for number in range(6))
    (tmp_path / "labels.csv").write_text("patient_id,ef\n" + rows)
    assert all(case["doubts"] for case in cine_cases(tmp_path))
    splits = ("training", "validation", "test")
    assert [len(by_case(cine_datalist(tmp_path, split, folds=3))) for split in splits] == [2, 2, 2]


def test_linked_patient_folders_are_followed(tmp_path):
    write_stack(tmp_path / "store" / "x", slices=1)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "anna").symlink_to(tmp_path / "store" / "x")
    assert [case["case"] for case in cine_cases(tmp_path / "data")] == ["anna"]


def test_masks_on_another_grid_give_no_ejection_fraction(tmp_path, caplog):
    write_acdc(tmp_path)
    save(tmp_path / "patient001" / "patient001_frame02_gt.nii.gz", mask(3, 20)[:, :, :2])
    with caplog.at_level(logging.WARNING):
        assert "label" not in cine_datalist(tmp_path, "all", labelled=False)[0]
        with pytest.raises(ValueError, match="expected patients with an ejection fraction"):
            cine_datalist(tmp_path, "all")
    assert "expected a mask of (6, 6, 3) voxels like the image, found (6, 6, 2)" in caplog.text


def test_phases_of_mnms_that_are_empty_are_named(tmp_path, caplog):
    save(tmp_path / "A1" / "A1_sa.nii.gz", voxels())
    save(tmp_path / "A1" / "A1_sa_gt.nii.gz", np.zeros((6, 6, 3, 4), np.uint8))
    (tmp_path / "x_M&Ms_y.csv").write_text("External code,ED,ES\nA1,,2\n")
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="found none among 1"):
        cine_datalist(tmp_path, "all")
    assert "expected ED of A1 in the table as a number" in caplog.text
