from pathlib import Path

import pytest

from common.adc import bonbid_datalist, challenge_datalist, neonatal_adc_datalist, two_channel_datalist
from common.adc.layouts import csv_datalist
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


def test_datalist_as_a_spreadsheet_saves_it(tmp_path):
    table = "Case;ADC;Zmap;Label\r\nJosé;a.mha;z.mha;l.mha\r\n;;;\r\n"
    (tmp_path / "datalist.csv").write_bytes(table.encode("latin-1"))
    assert neonatal_adc_datalist(tmp_path) == [
        {"case": "José", "image": [str(tmp_path / "a.mha"), str(tmp_path / "z.mha")], "label": str(tmp_path / "l.mha")}
    ]


def test_datalist_of_column_names_alone_is_an_error(tmp_path):
    bonbid(tmp_path)
    (tmp_path / "datalist.csv").write_text("case,adc,zmap\n")
    with pytest.raises(NoDataError, match=r"datalist.csv: expected a row for each case, found column names alone"):
        neonatal_adc_datalist(tmp_path)


def test_rows_of_files_with_one_name_are_named_by_their_folders(tmp_path):
    rows = ["p1/adc.nii.gz,p1/z.nii.gz", "p2/adc.nii.gz,p2/z.nii.gz", "../p3/adc.nii,../p3/z.nii", "p4.mha,z4.mha"]
    (tmp_path / "datalist.csv").write_text("\n".join(["adc,zmap", *rows, ""]))
    assert [item["case"] for item in neonatal_adc_datalist(tmp_path)] == ["p1_adc", "p2_adc", "p3_adc", "p4"]


def test_a_datalist_written_on_windows_names_files_with_backslashes(tmp_path):
    for name in ("adc.mha", "z.mha", "l.mha", "a\\b.mha"):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / name).touch()
    (tmp_path / "datalist.csv").write_text(
        "case,adc,zmap,label\np7,x\\adc.mha,.\\x\\z.mha,x\\l.mha\np8,x/a\\b.mha,x/z.mha,\n"
    )
    one, other = csv_datalist(tmp_path)
    assert [Path(path) for path in (*one["image"], one["label"])] == [
        tmp_path / "x" / n for n in ("adc.mha", "z.mha", "l.mha")
    ]
    assert other["image"][0] == str(tmp_path / "x" / "a\\b.mha"), "a backslash in the name itself"
