"""Files beside the cases of each layout are named with the reason."""

import pytest

from common.data.listing import forget_reports
from common.echo import echo_datalist, simulate_echo

TINY = {"size": 16, "frames": (6, 6)}
NO_PLACE, NO_CINE = "the layout of this data set has no place for it", "neither a video, nor DICOM, NIfTI or MetaImage"


def unused(caplog, root):
    start = f"{root}: not used "
    lines = [line.removeprefix(start) for line in caplog.messages if line.startswith(start)]
    caplog.clear()
    return dict(line.split(": ", 1) for line in lines)


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_names_what_lies_beside_echonet(tmp_path, caplog):
    simulate_echo(tmp_path, cases=9, **TINY)
    put(tmp_path, "loose.avi", "more/a.mp4", "Videos/sub/b.avi", "x.rf", "Videos.zip", "README.md", "dates.csv")
    (tmp_path / "IM_0001").write_bytes(bytes(128) + b"DICM")
    for labelled in (True, False):
        forget_reports()
        assert len(echo_datalist(tmp_path, "all", labelled=labelled)) == 9
        assert unused(caplog, tmp_path) == {
            **dict.fromkeys(("IM_0001", "Videos/sub/b.avi", "loose.avi", "more/a.mp4"), NO_PLACE),
            **dict.fromkeys(("Videos.zip", "x.rf"), NO_CINE),
        }


def test_names_the_other_view_of_echonet_pediatric(tmp_path, caplog):
    simulate_echo(tmp_path / "A4C", cases=3, **TINY)
    put(tmp_path, "PSAX/Videos/CR1.avi", "PSAX/FileList.csv")
    assert len(echo_datalist(tmp_path, "all", labelled=False)) == 3
    assert unused(caplog, tmp_path) == {"PSAX/Videos/CR1.avi": NO_PLACE}


def test_names_a_second_layout_of_camus_and_what_lies_beside_the_patients(tmp_path, caplog):
    simulate_echo(tmp_path, cases=2, layout="camus", **TINY)
    simulate_echo(tmp_path / "other", cases=1, layout="camus_mhd", **TINY)
    (tmp_path / "other" / "training").rename(tmp_path / "training")
    first, second = (f"database_nifti/{path.name}" for path in sorted((tmp_path / "database_nifti").iterdir()))
    put(tmp_path, "loose.avi", "database_nifti/patient9.nii.gz", f"{first}/cine.mp4", f"{first}/copy/x.nii.gz")
    name = second.split("/")[1]
    put(tmp_path, *(f"{second}/{name}_{part}.nii.gz" for part in ("2CH_half_sequence", "2CH_ED", "4CH_ES_gt")))
    put(tmp_path, f"{second}/Info_2CH.cfg", "database_nifti/masks/a.nii.gz")
    items = echo_datalist(tmp_path, "all", labelled=False)
    assert [item["case"] for item in items] == [first.split("/")[1], name]
    older = "training/patient0001/patient0001_4CH_sequence.mhd"
    named = ("loose.avi", "database_nifti/patient9.nii.gz", f"{first}/cine.mp4", f"{first}/copy/x.nii.gz", older)
    assert unused(caplog, tmp_path) == dict.fromkeys(named, NO_PLACE)


def test_names_the_other_sequences_of_a_camus_patient(tmp_path, caplog):
    simulate_echo(tmp_path, cases=1, layout="camus", **TINY)
    folder = tmp_path / "database_nifti" / "patient0001"
    put(folder, "patient0001_4CH_sequence.mhd", "patient0001_4CH_sequence.raw")
    (item,) = echo_datalist(tmp_path, "all", labelled=False)
    assert item["image"].endswith("half_sequence.nii.gz")
    assert unused(caplog, folder.parent) == {
        "patient0001/patient0001_4CH_sequence.mhd": "patient0001_4CH_half_sequence.nii.gz beside it is used"
    }
    assert unused(caplog, tmp_path) == {}


def test_names_the_other_view_of_hmc_qu(tmp_path, caplog):
    simulate_echo(tmp_path, cases=3, layout="hmc_qu", **TINY)
    put(tmp_path, "A2C/ES00001_CH2_1.avi", "A2C.xlsx", "loose.mkv")
    assert len(echo_datalist(tmp_path, "all", labelled=False)) == 3
    assert unused(caplog, tmp_path) == dict.fromkeys(("A2C/ES00001_CH2_1.avi", "loose.mkv"), NO_PLACE)


@pytest.mark.parametrize("layout", ["echonet", "camus", "hmc_qu"])
def test_a_training_names_what_it_does_not_use_once(tmp_path, caplog, layout):
    simulate_echo(tmp_path, cases=12, layout=layout, **TINY)
    put(tmp_path, "loose.avi")
    for split in ("training", "validation"):
        echo_datalist(tmp_path, split)
    assert [line for line in caplog.messages if "loose" in line] == [f"{tmp_path}: not used loose.avi: {NO_PLACE}"]
