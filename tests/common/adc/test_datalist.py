import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from common.adc import (
    bonbid_datalist,
    challenge_datalist,
    neonatal_adc_datalist,
    simulate_neonatal_adc,
    two_channel_datalist,
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


@pytest.mark.parametrize("nested", [False, True])
def test_reads_the_public_data_sets_layout_also_one_folder_up(tmp_path, nested):
    names = bonbid(tmp_path / "BONBID2023_Train" if nested else tmp_path)
    items = bonbid_datalist(tmp_path)
    assert [item["case"] for item in items] == names
    assert items[2]["image"][0].endswith("1ADC_ss/MGHNICU_012-VISIT_01-ADC_ss.mha")
    assert items[2]["image"][1].endswith("2Z_ADC/Zmap_MGHNICU_012-VISIT_01-ADC_smooth2mm_clipped10.mha")
    assert items[2]["label"].endswith("3LABEL/MGHNICU_012-VISIT_01_lesion.mha")
    assert neonatal_adc_datalist(tmp_path) == items


def test_reads_the_challenges_layout_by_id_or_by_the_only_pair(tmp_path):
    adc, zmap = "images/skull-stripped-adc-brain-mri", "images/z-score-adc"
    touch(tmp_path / "a" / adc, "MGHNICU_201-VISIT_01-ADC_ss.mha", "MGHNICU_202-VISIT_01-ADC_ss.mha")
    touch(tmp_path / "a" / zmap, "Zmap_MGHNICU_202-VISIT_01-x.mha", "Zmap_MGHNICU_201-VISIT_01-x.mha")
    first = challenge_datalist(tmp_path / "a")[0]
    assert first["case"] == "MGHNICU_201-VISIT_01" and "label" not in first
    assert first["image"][1].endswith("Zmap_MGHNICU_201-VISIT_01-x.mha")
    touch(tmp_path / "b" / adc, "2f1c.mha")
    touch(tmp_path / "b" / zmap, "77aa.mha")
    (only,) = neonatal_adc_datalist(tmp_path / "b")
    assert only["case"] == "2f1c" and only["image"][1].endswith("77aa.mha")


@pytest.mark.parametrize(("images", "labels"), [("", "labels/final"), ("imagesTr", "labelsTr"), ("images", "labels")])
def test_reads_a_folder_of_two_channel_volumes(tmp_path, images, labels):
    touch(tmp_path / images, "b.nii.gz", "a.mha", "notes.txt")
    touch(tmp_path / labels, "b.nii.gz")
    items = two_channel_datalist(tmp_path)
    assert [item["case"] for item in items] == ["a", "b"]
    assert items[1]["image"].endswith("b.nii.gz") and items[1]["label"].endswith("b.nii.gz")
    assert "label" not in items[0]
    assert [item["case"] for item in neonatal_adc_datalist(tmp_path, needs_label=True)] == ["b"]


def test_reads_adc_maps_with_their_z_maps_in_a_folder_beside(tmp_path):
    touch(tmp_path, "a.nii.gz", "b.nii.gz")
    touch(tmp_path / "zmaps", "a.mha")
    paired, both = two_channel_datalist(tmp_path)
    assert paired == {"case": "a", "image": [str(tmp_path / "a.nii.gz"), str(tmp_path / "zmaps" / "a.mha")]}
    assert both == {"case": "b", "image": str(tmp_path / "b.nii.gz")}


def test_reads_one_volume_as_it_reads_it_in_its_folder(tmp_path):
    touch(tmp_path, "a.nii.gz", "b.nii.gz", "notes.txt")
    touch(tmp_path / "zmaps", "a.nii.gz")
    listed = neonatal_adc_datalist(tmp_path)
    assert [neonatal_adc_datalist(tmp_path / name) for name in ("a.nii.gz", "b.nii.gz")] == [listed[:1], listed[1:]]
    with pytest.raises(NoDataError, match=r"notes\.txt: expected .* one such volume"):
        neonatal_adc_datalist(tmp_path / "notes.txt")


def test_reads_any_folder_with_a_datalist(tmp_path):
    (tmp_path / "datalist.csv").write_text("case,adc,zmap,label\np7,x/adc.nii.gz,x/z.nii.gz,x/l.nii.gz\np8,a,b,\n")
    first, second = neonatal_adc_datalist(tmp_path)
    assert first["image"] == [str(tmp_path / "x/adc.nii.gz"), str(tmp_path / "x/z.nii.gz")]
    assert first["label"] == str(tmp_path / "x/l.nii.gz") and "label" not in second
    (tmp_path / "datalist.csv").write_text("case,adc\np7,adc.mha\n")
    with pytest.raises(UnusableFileError, match=r"datalist.csv: expected columns adc and zmap, or image"):
        neonatal_adc_datalist(tmp_path)


def test_case_without_z_map_stays_listed_so_that_it_fails_by_name(tmp_path):
    bonbid(tmp_path)
    next((tmp_path / "2Z_ADC").glob("*012*")).unlink()
    items = neonatal_adc_datalist(tmp_path)
    assert len(items) == 6
    assert items[2]["image"][1] == "missing Z map of case MGHNICU_012-VISIT_01"


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
