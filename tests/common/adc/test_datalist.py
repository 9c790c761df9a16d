import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from common.adc import (
    LoadVolumed,
    neonatal_adc_datalist,
    simulate_neonatal_adc,
)
from common.errors import NoDataError, UnusableFileError


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def bonbid(root, ids=("010", "011", "012", "013", "014", "015")):
    names = [f"MGHNICU_{i}-VISIT_01" for i in ids]
    touch(root / "1ADC_ss", *(f"{n}-ADC_ss.mha" for n in names))
    touch(root / "2Z_ADC", *(f"Zmap_{n}-ADC_smooth2mm_clipped10.mha" for n in names))
    touch(root / "3LABEL", *(f"{n}_lesion.mha" for n in names))
    return names


def reason(item):
    with pytest.raises(UnusableFileError) as caught:
        LoadVolumed("image")(item)
    return str(caught.value)


def test_case_without_z_map_stays_listed_so_that_it_fails_by_name(tmp_path):
    bonbid(tmp_path)
    next((tmp_path / "2Z_ADC").glob("*012*")).unlink()
    items = neonatal_adc_datalist(tmp_path)
    assert len(items) == 6
    assert reason(items[2]) == "MGHNICU_012-VISIT_01: expected one Z map, found none"


def test_case_with_one_name_in_two_formats_fails_by_name(tmp_path, caplog):
    touch(tmp_path, "p5.nii", "p5.nii.gz", "p6.mha", "S.NII.GZ")
    items = neonatal_adc_datalist(tmp_path)
    assert [item["case"] for item in items] == ["S", "p5", "p6"]
    assert reason(items[1]) == "p5: expected one volume, found p5.nii and p5.nii.gz"
    touch(tmp_path / "labels", "p5.nii", "p6.mha", "S.nii", "S.mha")
    assert [item["case"] for item in neonatal_adc_datalist(tmp_path, needs_label=True)] == ["p6"]
    assert "left out p5: p5: expected one volume" in caplog.text
    assert "left out S: expected one label, found none or two" in caplog.text


def test_names_that_differ_after_a_dot_are_two_cases(tmp_path):
    touch(tmp_path, "1.2.3.1.mha", "1.2.3.2.mha")
    assert [item["case"] for item in neonatal_adc_datalist(tmp_path)] == ["1.2.3.1", "1.2.3.2"]


def test_everything_that_no_case_uses_is_named_once_and_hidden_files_are_no_cases(tmp_path, caplog):
    bonbid(tmp_path)
    touch(tmp_path / "1ADC_ss", "._MGHNICU_010-VISIT_01-ADC_ss.mha", ".DS_Store", "Thumbs.db", "scan.dcm")
    touch(tmp_path / "1ADC_ss" / "more", "MGHNICU_099-VISIT_01-ADC_ss.mha")
    touch(tmp_path / "3LABEL", "MGHNICU_050-VISIT_01_lesion.mha")
    for split in ("all", "training", "validation"):
        assert all("refused" not in item for item in neonatal_adc_datalist(tmp_path, split))
    named = [record.getMessage().split(": ", 1)[1] for record in caplog.records]
    assert named == [
        "not used 1ADC_ss/more/MGHNICU_099-VISIT_01-ADC_ss.mha: belongs to no case",
        "not used 1ADC_ss/scan.dcm: no volume (.mha, .mhd, .nrrd, .nii, .nii.gz)",
        "not used 3LABEL/MGHNICU_050-VISIT_01_lesion.mha: belongs to no case",
    ]


def test_linked_folders_are_read_and_voxels_beside_a_header_belong_to_it(tmp_path, caplog):
    touch(tmp_path / "elsewhere", "a.mhd", "a.raw", "b.mhd", "b.zraw")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to(tmp_path / "elsewhere")
    assert [item["case"] for item in neonatal_adc_datalist(tmp_path / "data")] == ["a", "b"]
    assert not caplog.records


def test_cases_without_a_label_are_named_where_labels_are_needed(tmp_path, caplog):
    names = bonbid(tmp_path)
    next((tmp_path / "3LABEL").glob("*012*")).unlink()
    assert len(neonatal_adc_datalist(tmp_path, needs_label=True)) == len(names) - 1
    assert "left out MGHNICU_012-VISIT_01: expected one label" in caplog.text


def test_rows_of_one_name_and_rows_without_a_map_fail_by_name(tmp_path, caplog):
    rows = ["p7,a.mha,b.mha,l.mha", "p8,c.mha,d.mha,l.mha", "p7,e.mha,f.mha,l.mha", "p9,g.mha,,l.mha"]
    (tmp_path / "datalist.csv").write_text("\n".join(["case,adc,zmap,label", *rows, ""]))
    first, second, fine, lacking = neonatal_adc_datalist(tmp_path)
    for item in (first, second):
        assert "datalist.csv: expected each case once, found 2 rows of p7; rename them" in reason(item)
    assert "refused" not in fine
    assert reason(lacking) == "p9: expected one Z map, found none"
    assert [item["case"] for item in neonatal_adc_datalist(tmp_path, needs_label=True)] == ["p8"]
    assert "left out p7" in caplog.text and "left out p9" in caplog.text


def test_folds_share_no_patient_and_cover_all(tmp_path):
    bonbid(tmp_path, [f"{n:03d}" for n in range(17)])
    for source in (tmp_path / "1ADC_ss").glob("*MGHNICU_003*"):  # a second visit of the same patient
        shutil.copy(source, source.with_name(source.name.replace("VISIT_01", "VISIT_02")))
    validation = []
    for fold in range(5):
        parts = {
            split: {item["case"] for item in neonatal_adc_datalist(tmp_path, split, fold, 5, seed=3)}
            for split in ("training", "validation", "all")
        }
        assert not parts["training"] & parts["validation"]
        assert parts["training"] | parts["validation"] == parts["all"]
        visits = {"MGHNICU_003-VISIT_01", "MGHNICU_003-VISIT_02"}
        assert len(visits & parts["validation"]) in (0, 2)
        validation += parts["validation"]
    assert len(validation) == len(set(validation)) == 18


def test_empty_folder_names_layouts_and_the_simulation(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(NoDataError, match=r"BONBID-HIE.*challenge.*python -m common simulate hie_ladp_seg"):
            neonatal_adc_datalist(folder)


def test_refuses_unknown_splits_and_folds(tmp_path):
    bonbid(tmp_path)
    with pytest.raises(ValueError, match=r"split: expected .*found 'train'"):
        neonatal_adc_datalist(tmp_path, "train")
    with pytest.raises(ValueError, match=r"found fold 5 of 5"):
        neonatal_adc_datalist(tmp_path, "training", fold=5)
    shutil.rmtree(tmp_path / "3LABEL")
    with pytest.raises(NoDataError, match=r"expected cases for all of fold 0 of 5, found 0 in all"):
        neonatal_adc_datalist(tmp_path, needs_label=True)


def test_simulated_cases_come_back_by_the_same_reader(tmp_path):
    simulate_neonatal_adc(tmp_path, cases=2, size=(32, 40, 8), spacing_mm=(3.0, 3.0, 10.0), progress=False)
    items = neonatal_adc_datalist(tmp_path)
    assert [item["case"] for item in items] == ["MGHNICU_001-VISIT_01", "MGHNICU_002-VISIT_01"]
    assert np.unique(sitk.GetArrayFromImage(sitk.ReadImage(items[0]["label"]))).tolist() == [0, 1]
