import logging

import openpyxl
import pytest

from common.echo import (
    camus_datalist,
    echo_cases,
    echo_datalist,
    echonet_datalist,
    hmc_qu_datalist,
    simulate_echo,
    ultrasound_cine_datalist,
)
from common.errors import NoDataError, UnusableFileError
from common.files import read_csv, write_csv

TINY = {"size": 16, "frames": (6, 6)}


@pytest.fixture
def echonet(tmp_path):
    simulate_echo(tmp_path, cases=9, **TINY)
    return tmp_path


def change(table, index, **cells):
    rows = read_csv(table)
    rows[index].update(cells)
    write_csv(table, rows)
    return rows[index]["FileName"]


def test_divides_echonet_as_its_table_does(echonet):
    splits = {name: echonet_datalist(echonet, name) for name in ("training", "validation", "test", "development")}
    assert [len(items) for items in splits.values()] == [5, 2, 2, 7]
    assert {item["case"] for item in splits["development"]}.isdisjoint(item["case"] for item in splits["test"])
    row = read_csv(echonet / "FileList.csv")[0]
    item = next(item for item in echonet_datalist(echonet) if item["case"] == row["FileName"])
    assert item["label"] == float(row["EF"])


def test_takes_file_names_with_and_without_suffix(echonet):
    name = read_csv(echonet / "FileList.csv")[0]["FileName"]
    before = echonet_datalist(echonet)
    change(echonet / "FileList.csv", 0, FileName=f"{name}.avi")
    assert echonet_datalist(echonet) == before


@pytest.mark.parametrize("ef", ["", "nan", "-3", "101", "normal", "0", "0.55"])
def test_leaves_out_an_impossible_ef_by_name(echonet, caplog, ef):
    name = change(echonet / "FileList.csv", 4, EF=ef)
    with caplog.at_level(logging.WARNING):
        assert len(echonet_datalist(echonet)) == 8
    assert (
        f"left out {name}: expected EF in percent as a number from 1 to 100, found" in caplog.text and ef in caplog.text
    )
    unlabelled = next(i for i in echonet_datalist(echonet, labelled=False) if i["case"] == name)
    assert "label" not in unlabelled


@pytest.mark.parametrize("form", ["{}.AVI", "Videos/{}.avi", "Videos\\{}", "./Videos/{}.Avi"])
def test_takes_file_names_as_other_programs_write_them(echonet, form):
    expected = echonet_datalist(echonet, "all")
    rows = read_csv(echonet / "FileList.csv")
    write_csv(echonet / "FileList.csv", [{**row, "FileName": form.format(row["FileName"])} for row in rows])
    assert echonet_datalist(echonet, "all") == expected


def test_two_videos_of_one_name_are_named_and_neither_is_used(echonet, caplog):
    name = read_csv(echonet / "FileList.csv")[0]["FileName"]
    video = echonet / "Videos" / f"{name}.avi"
    video.with_suffix(".AVI").write_bytes(video.read_bytes())
    assert name not in {item["case"] for item in echonet_datalist(echonet, "all", traced=False)}
    assert f"left out {name}: expected one video of this name, found {name}.AVI and {name}.avi" in caplog.text


def test_leaves_out_rows_without_video_and_videos_without_row(echonet, caplog):
    name = change(echonet / "FileList.csv", 2, FileName="0XGONE")
    with caplog.at_level(logging.WARNING):
        assert len(echonet_datalist(echonet, traced=False)) == 8
    assert "left out 0XGONE: no video of this name in Videos" in caplog.text
    assert "no row in FileList.csv" in caplog.text and name == "0XGONE"


def test_leaves_out_videos_without_two_traced_frames(echonet, caplog):
    name = read_csv(echonet / "FileList.csv")[3]["FileName"]
    rows = read_csv(echonet / "VolumeTracings.csv")
    frames = sorted({row["Frame"] for row in rows if row["FileName"] == f"{name}.avi"})
    kept = [row for row in rows if (row["FileName"], row["Frame"]) != (f"{name}.avi", frames[0])]
    write_csv(echonet / "VolumeTracings.csv", kept)
    with caplog.at_level(logging.WARNING):
        assert name not in {item["case"] for item in echonet_datalist(echonet)}
    assert "fewer than 2 traced frames" in caplog.text
    assert name in {item["case"] for item in echonet_datalist(echonet, traced=False)}


def test_divides_pediatric_by_its_fold_numbers(tmp_path):
    simulate_echo(tmp_path / "A4C", cases=10, **TINY)
    rows = read_csv(tmp_path / "A4C" / "FileList.csv")
    write_csv(tmp_path / "A4C" / "FileList.csv", [{**row, "Split": str(n)} for n, row in enumerate(rows)])
    found = {
        name: [i["fold"] for i in echo_datalist(tmp_path, name, fold=9)] for name in ("training", "validation", "test")
    }
    assert found == {"training": list(range(1, 9)), "validation": [0], "test": [9]}


def test_names_a_missing_column(echonet):
    rows = read_csv(echonet / "FileList.csv")
    write_csv(echonet / "FileList.csv", [{k: v for k, v in row.items() if k != "EF"} for row in rows])
    with pytest.raises(UnusableFileError, match=r"expected the columns FileName, EF, Split"):
        echonet_datalist(echonet)


@pytest.mark.parametrize("layout", ["camus", "camus_mhd"])
def test_divides_camus_into_blocks_of_fifty_patients(tmp_path, layout):
    simulate_echo(tmp_path, cases=20, layout=layout, **TINY)
    items = camus_datalist(tmp_path)
    assert [item["fold"] for item in items] == [n // 2 for n in range(20)]
    assert items[2]["case"] == "patient0051"
    assert {i["fold"] for i in camus_datalist(tmp_path, "test", fold=4)} == {4}
    assert {i["fold"] for i in camus_datalist(tmp_path, "training", fold=9)} == set(range(1, 9))
    assert {item["quality"] for item in items} <= {"Good", "Medium", "Poor"}


def test_orders_camus_from_diastole_to_systole(tmp_path):
    simulate_echo(tmp_path, cases=2, layout="camus", **TINY)
    info = tmp_path / "database_nifti" / "patient0001" / "Info_4CH.cfg"
    text = info.read_text().splitlines()
    count = int(next(line for line in text if line.startswith("NbFrame")).split(":")[1])
    rest = [line for line in text if not line.startswith(("ED:", "ES:"))]
    info.write_text("\n".join([f"ED: {count}", "ES: 1", *rest]))
    assert camus_datalist(tmp_path)[0]["frame_range"] == (count - 1, 0)
    info.write_text("\n".join(["ED: 1", f"ES: {count}", *rest]))
    assert camus_datalist(tmp_path)[0]["frame_range"] == (0, count - 1)


@pytest.mark.parametrize(
    ("change_to", "reason"),
    [
        ({"ES": "99"}, "expected ED and ES in 1 to"),
        ({"ED": None}, "expected whole numbers ED, ES and NbFrame"),
        ({"EF": "no"}, "expected EF"),
        ({"EF": "0.55"}, "expected EF (EF or LVef) in percent as a number from 1 to 100, found '0.55'"),
    ],
)
def test_leaves_out_a_camus_patient_with_a_wrong_info_file(tmp_path, caplog, change_to, reason):
    simulate_echo(tmp_path, cases=2, layout="camus", **TINY)
    info = tmp_path / "database_nifti" / "patient0001" / "Info_4CH.cfg"
    (key, value), lines = next(iter(change_to.items())), info.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"{key}:")]
    info.write_text("\n".join(kept + ([f"{key}: {value}"] if value else [])))
    with caplog.at_level(logging.WARNING):
        assert [item["case"] for item in camus_datalist(tmp_path)] == ["patient0251"]
    assert "left out patient0001: " + reason in caplog.text


def test_leaves_out_a_camus_patient_without_its_sequence(tmp_path, caplog):
    simulate_echo(tmp_path, cases=2, layout="camus", **TINY)
    next((tmp_path / "database_nifti" / "patient0001").glob("*.nii.gz")).unlink()
    with caplog.at_level(logging.WARNING):
        assert len(camus_datalist(tmp_path)) == 1
    assert "patient0001_4CH_half_sequence.nii.gz or" in caplog.text


def sheet(path, edit):
    book = openpyxl.load_workbook(path)
    edit(book.worksheets[0])
    book.save(path)
    book.close()


def test_spreads_infarctions_evenly_over_the_folds_of_hmc_qu(tmp_path):
    simulate_echo(tmp_path, cases=15, layout="hmc_qu", **TINY)
    items = hmc_qu_datalist(tmp_path)
    counts = [sum(i["label"] for i in hmc_qu_datalist(tmp_path, "test", fold)) for fold in range(5)]
    assert sum(counts) == sum(item["label"] for item in items) and max(counts) - min(counts) <= 1
    assert {len(hmc_qu_datalist(tmp_path, "test", fold)) for fold in range(5)} == {3}


def test_finds_the_header_of_hmc_qu_where_it_was_shifted(tmp_path):
    simulate_echo(tmp_path, cases=4, layout="hmc_qu", **TINY)
    before = hmc_qu_datalist(tmp_path)
    sheet(tmp_path / "A4C.xlsx", lambda page: (page.insert_rows(1, 2), page.insert_cols(1)))
    assert hmc_qu_datalist(tmp_path) == before
    sheet(tmp_path / "A4C.xlsx", lambda page: page.delete_rows(4))
    with pytest.raises(UnusableFileError, match="expected a header cell ECHO"):
        hmc_qu_datalist(tmp_path)


def test_counts_hmc_qu_frames_from_one_and_any_segment_as_infarction(tmp_path):
    simulate_echo(tmp_path, cases=2, layout="hmc_qu", **TINY)
    cells = ["es00001 _4ch_1", "non-MI", "non-MI", "MI", "non-MI", "non-MI", "non-MI", 4, None, 20, "ü"]
    sheet(tmp_path / "A4C.xlsx", lambda page: [page.cell(3, n + 1, cell) for n, cell in enumerate(cells)])
    item = hmc_qu_datalist(tmp_path)[0]
    assert (item["label"], item["frame_range"]) == (1, (3, 19))


def test_two_videos_of_hmc_qu_whose_names_differ_in_blanks_are_named_and_neither_is_used(tmp_path, caplog):
    simulate_echo(tmp_path, cases=3, layout="hmc_qu", **TINY)
    video = min((tmp_path / "A4C").glob("*.avi"))
    (video.parent / f"{video.stem} .avi").write_bytes(video.read_bytes())
    assert len(hmc_qu_datalist(tmp_path)) == 2
    assert "expected one video of this name, found" in caplog.text and f"{video.stem} .avi" in caplog.text


def test_takes_only_masked_hmc_qu_cases_unless_told(tmp_path):
    simulate_echo(tmp_path, cases=3, layout="hmc_qu", **TINY)
    sheet(tmp_path / "A4C.xlsx", lambda page: page.cell(4, 11, "û"))
    assert len(hmc_qu_datalist(tmp_path)) == 2
    assert len(hmc_qu_datalist(tmp_path, masked=False)) == 3


def test_leaves_out_wrong_rows_of_hmc_qu(tmp_path, caplog):
    simulate_echo(tmp_path, cases=4, layout="hmc_qu", **TINY)
    wrong = [(3, 2, "maybe"), (4, 1, "ES09999"), (5, 10, 0)]
    sheet(tmp_path / "A4C.xlsx", lambda page: [page.cell(*place) for place in wrong])
    with caplog.at_level(logging.WARNING):
        assert len(hmc_qu_datalist(tmp_path)) == 1
    for reason in ("six cells 'MI' or 'non-MI'", "no video of this name", "a cycle of frames counted from 1"):
        assert reason in caplog.text


def test_takes_a_plain_folder_where_no_label_is_needed(echonet, tmp_path):
    plain = tmp_path / "Videos"
    (plain / "notes.txt").write_text("x")
    assert len(echo_datalist(plain, "all", labelled=False)) == 9
    one = ultrasound_cine_datalist(next(plain.glob("*.avi")))
    assert len(one) == 1 and not one[0]["case"].endswith(".avi")


def test_names_the_layouts_and_the_command_where_nothing_is_found(tmp_path):
    with pytest.raises(NoDataError, match=r"(?s)EchoNet.*CAMUS.*HMC-QU.*python -m common simulate echo_coreecho"):
        echo_datalist(tmp_path)
    with pytest.raises(NoDataError, match="plain folders"):
        echo_datalist(tmp_path, "all", labelled=False)


@pytest.mark.parametrize("cases", [echo_cases, echo_datalist])
def test_a_folder_that_is_not_there_is_named(tmp_path, cases):
    with pytest.raises(NoDataError, match=r"missing: expected a folder, found none; check --dataset_dir"):
        cases(tmp_path / "missing")


def test_names_an_unknown_split_or_fold(echonet, tmp_path):
    with pytest.raises(ValueError, match=r"split: expected training, .* found 'train'"):
        echonet_datalist(echonet, "train")
    with pytest.raises(ValueError, match="found fold 10 of 10"):
        camus_datalist(tmp_path, fold=10)


def test_names_cases_by_their_whole_name(tmp_path):
    """Scanners name files by UID, without a suffix: what follows the last dot is the name's end."""
    for name in ("1.2.840.3.1", "1.2.840.3.2", "S.NII.GZ", "b.dcm", "day 1.5/c.v2.AVI"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(128) + b"DICM" if name.startswith("1.2") else b"")
    cases = [item["case"] for item in ultrasound_cine_datalist(tmp_path)]
    assert cases == ["1.2.840.3.1", "1.2.840.3.2", "S", "b", "day 1.5_c.v2"]


def test_hidden_files_are_no_cases_and_others_are_named(tmp_path, caplog):
    for name in (
        "a.avi",
        "b.webm",
        "c.ts",
        "d.gif",
        "._a.avi",
        ".DS_Store",
        "DICOMDIR",
        "Thumbs.db",
        "notes.txt",
        "x.rf",
    ):
        (tmp_path / name).write_bytes(b"")
    assert [item["case"] for item in ultrasound_cine_datalist(tmp_path)] == ["a", "b", "c", "d"]
    assert caplog.messages == [
        f"{tmp_path}: not used notes.txt: neither a video, nor DICOM, NIfTI or MetaImage",
        f"{tmp_path}: not used x.rf: neither a video, nor DICOM, NIfTI or MetaImage",
    ]


def test_the_pixels_of_a_metaimage_are_no_case_and_not_named(tmp_path, caplog):
    for name in ("a.mhd", "a.raw", "b.raw"):
        (tmp_path / name).write_bytes(b"")
    assert [item["case"] for item in ultrasound_cine_datalist(tmp_path)] == ["a"]
    assert len(caplog.messages) == 1 and "b.raw" in caplog.messages[0]


def test_names_what_lies_among_the_videos_of_echonet_and_is_not_used(echonet, caplog):
    (echonet / "Videos" / "extra.mp4").write_bytes(b"")
    (echonet / "Videos" / "._0X1.avi").write_bytes(b"")
    assert len(echonet_datalist(echonet)) == 9
    assert [line for line in caplog.messages if "0X1" in line] == []
    assert "not used Videos/extra.mp4: no AVI video" in caplog.text


def test_takes_the_videos_of_echonet_in_capitals_too(echonet):
    video = next((echonet / "Videos").glob("*.avi"))
    video.rename(video.with_suffix(".AVI"))
    assert len(echonet_datalist(echonet)) == 9


def test_names_rows_of_echonet_that_occur_twice_or_belong_to_no_split(echonet, caplog):
    rows = read_csv(echonet / "FileList.csv")
    write_csv(echonet / "FileList.csv", [*rows, {**rows[0], "EF": "11"}])
    name = change(echonet / "FileList.csv", 3, Split="TRIAN")
    with caplog.at_level(logging.WARNING):
        items = echonet_datalist(echonet)
    assert len(items) == 8
    assert next(i for i in items if i["case"] == rows[0]["FileName"])["label"] == float(rows[0]["EF"])
    assert f"left out {rows[0]['FileName']}: more than one row of this name; the first is used" in caplog.text
    assert f"left out {name}: expected Split as TRAIN, VAL, TEST" in caplog.text


@pytest.mark.parametrize("splits", [["10", "1"], ["TRAIN", "1"]])
def test_refuses_fold_numbers_that_cannot_be(echonet, splits):
    rows = read_csv(echonet / "FileList.csv")
    write_csv(echonet / "FileList.csv", [{**row, "Split": splits[n % 2]} for n, row in enumerate(rows)])
    with pytest.raises(UnusableFileError, match="as numbers from 0 to 9, found 1, "):
        echonet_datalist(echonet, "training")


def test_a_folder_of_camus_that_is_no_patient_is_named(tmp_path, caplog):
    simulate_echo(tmp_path, cases=2, layout="camus", **TINY)
    for name in ("patientX", "masks", ".git"):
        (tmp_path / "database_nifti" / name).mkdir()
    assert len(camus_datalist(tmp_path)) == 2
    assert [line.split(": ", 1)[1] for line in caplog.messages] == [
        "left out masks: expected a folder patientNNNN",
        "left out patientX: expected a folder patientNNNN",
    ]


def test_names_videos_of_hmc_qu_that_no_row_or_no_mask_has(tmp_path, caplog):
    simulate_echo(tmp_path, cases=3, layout="hmc_qu", **TINY)
    sheet(tmp_path / "A4C.xlsx", lambda page: page.cell(4, 11, "û"))
    (tmp_path / "A4C" / "other.avi").write_bytes(b"")
    assert len(hmc_qu_datalist(tmp_path)) == 2
    assert "not used A4C/other.avi: no row in A4C.xlsx" in caplog.text
    assert "left out ES00002 _4CH_1: no wall masks" in caplog.text
