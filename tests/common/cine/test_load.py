import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import DataLoader

from common.cine import (
    LoadCinePatient,
    LoadCineSliced,
    cine_datalist,
    cine_slice_tensor,
    read_cine,
    simulate_cine_mr,
)
from common.errors import UnusableFileError
from tests.dicom_frames import cut, textured, write_frame, write_stack

SHAPE = (26, 24)
SAMPLE = Path(__file__).parents[2] / "data" / "sunnybrook_sample"


@pytest.mark.parametrize("layout", ["acdc", "dicom"])
def test_slice_is_the_one_that_the_whole_reader_gives(tmp_path, layout):
    simulate_cine_mr(tmp_path, cases=1, layout=layout, size=32, frames=8, slices=3)
    item = cine_datalist(tmp_path, "all", slices="all")[1]
    image = LoadCineSliced("image")(item)["image"]
    path = item["image"] if layout == "acdc" else Path(item["image"][0]).parent
    whole = read_cine(path)
    assert image.shape == (1, 32, 32, 8) and image.dtype == torch.float32
    assert np.array_equal(image[0].numpy(), whole.slices[1].frames.transpose(1, 2, 0))
    same = cine_slice_tensor(whole.slices[1], "name")
    assert torch.equal(image.as_tensor(), same.as_tensor()) and torch.equal(image.affine, same.affine)
    assert torch.linalg.norm(image.affine[:3, :2], dim=0).tolist() == pytest.approx([300 / 32] * 2)


def test_reads_a_real_slice():
    item = cine_datalist(SAMPLE, "all")[0]
    image = LoadCineSliced("image")(item)["image"]
    assert image.shape == (1, 256, 256, 20)


def write_uneven(folder):
    """Write four slices: one of uneven frames, one whole, one with a constant frame, one whole."""
    write_stack(folder, slices=4, frames=8, shape=SHAPE)
    for t, time in enumerate((0, 30, 60, 90, 120, 180, 240, 300)):
        write_frame(folder / f"IM-0001-{t + 1:04d}.dcm", textured(t, SHAPE), (0, 0, 0), time, t)
    write_frame(folder / "IM-0001-0020.dcm", np.zeros(SHAPE), (0, 0, 20), 110, 20)


def test_each_slice_keeps_its_number_and_what_was_done_is_told(tmp_path):
    write_uneven(tmp_path)
    slices = LoadCinePatient()({"case": "anna", "image": str(tmp_path)})
    assert [found["slice_number"] for found in slices] == [0, 1, 3]
    for found in slices:
        assert json.loads(found["skipped"]) == [
            {"slice": 2, "reason": "frame 4 of 8 is constant (standard deviation 0)"}
        ]
        assert json.loads(found["notes"]) == ["slice 0: frames at uneven times, resampled by their trigger times"]
    assert len(next(iter(DataLoader(slices, batch_size=3)))["notes"]) == 3


def test_few_frames_and_few_of_the_slices_are_doubtful(tmp_path):
    write_stack(tmp_path / "few", slices=4, frames=7, shape=SHAPE)
    for number in (7, 14):  # 6 in two slices, 7 in two
        (tmp_path / "few" / f"IM-0001-{number:04d}.dcm").unlink()
    write_stack(tmp_path / "half", slices=8, frames=8, shape=SHAPE)
    shutil.copytree(tmp_path / "half", tmp_path / "most")
    for slice_number, folders in enumerate([("half", "most")] * 4 + [("most",)]):
        for folder in folders:
            cut(tmp_path / folder / f"IM-0001-{8 * slice_number + 3:04d}.dcm", 20)
    doubts = [
        json.loads(LoadCinePatient()({"case": "anna", "image": str(tmp_path / name)})[0]["doubts"])
        for name in ("few", "half", "most")
    ]
    assert doubts == [
        ["only 6 frames of the beat, expected at least 8"],
        [],
        ["slices: 3, expected a stack from base to apex, 8 to 14", "5 of 8 slices could not be used"],
    ]


def test_training_items_carry_the_phases_of_uneven_frames(tmp_path):
    write_uneven(tmp_path / "anna")
    item = cine_datalist(tmp_path, "all", labelled=False)[0]
    loaded, whole = LoadCineSliced("image")(item), LoadCinePatient()({"case": "anna", "image": str(tmp_path / "anna")})
    expected = torch.tensor([0, 30, 60, 90, 120, 180, 240, 300], dtype=torch.float64) / 360
    assert torch.allclose(loaded["image"].meta["phases"], expected) and "phases" not in loaded
    assert torch.allclose(whole[0]["image"].meta["phases"], expected)


def test_slices_too_small_to_show_a_heart_are_refused(tmp_path):
    write_stack(tmp_path / "anna", slices=2, frames=8, shape=(30, 23))
    [item, *_] = cine_datalist(tmp_path, "all", labelled=False)
    for load, data in ((LoadCineSliced("image"), item), (LoadCinePatient(), {"case": "a", "image": tmp_path / "anna"})):
        with pytest.raises(
            UnusableFileError, match=r"anna.*: expected slices of at least 24 x 24 pixels, found 23 x 30"
        ):
            load(data)


def test_input_stays_and_missing_keys_follow_the_option():
    item = cine_datalist(SAMPLE, "all")[0]
    before = dict(item)
    LoadCineSliced("image")(item)
    assert item == before
    assert LoadCineSliced("other", allow_missing_keys=True)({"case": "a"}) == {"case": "a"}


def test_damaged_slice_is_named(tmp_path):
    with pytest.raises(UnusableFileError, match=r"missing\.dcm"):
        LoadCineSliced("image")({"image": [str(tmp_path / "missing.dcm"), str(tmp_path / "other.dcm")]})
