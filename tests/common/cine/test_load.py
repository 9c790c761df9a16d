from pathlib import Path

import numpy as np
import pytest
import torch

from common.cine import (
    LoadCineSection,
    LoadCineSectiond,
    cine_datalist,
    read_cine,
    simulate_cine_mr,
    sunnybrook_datalist,
)
from common.cine.load import cine_section_tensor
from common.errors import UnusableFileError

SAMPLE = Path(__file__).parents[2] / "data" / "sunnybrook_sample"


@pytest.mark.parametrize("layout", ["acdc", "dicom"])
def test_section_is_the_one_that_the_whole_reader_gives(tmp_path, layout):
    simulate_cine_mr(tmp_path, cases=1, layout=layout, size=32, frames=8, sections=3)
    item = cine_datalist(tmp_path, "all", sections="all")[1]
    image = LoadCineSectiond("image")(item)["image"]
    path = item["image"] if layout == "acdc" else Path(item["image"][0]).parent
    whole = read_cine(path)
    assert image.shape == (1, 32, 32, 8) and image.dtype == torch.float32
    assert np.array_equal(image[0].numpy(), whole.frames[1].transpose(1, 2, 0))
    same = cine_section_tensor(whole, "name", 1)
    assert torch.equal(image.as_tensor(), same.as_tensor())
    assert torch.allclose(image.affine[:, 3], same.affine[:, 3], atol=1e-3)
    assert torch.allclose(image.meta["trigger_times_ms"], same.meta["trigger_times_ms"], equal_nan=True)
    assert image.meta["spacing_mm"].tolist() == pytest.approx([300 / 32] * 2)


def test_reads_a_real_section():
    item = sunnybrook_datalist(SAMPLE)[0]
    image = LoadCineSectiond("image")(item)["image"]
    assert image.shape == (1, 256, 256, 20)
    assert image.meta["spacing_mm"].tolist() == pytest.approx([1.367188] * 2)
    assert bool((torch.diff(image.meta["trigger_times_ms"]) > 0).all())


def test_input_stays_and_missing_keys_follow_the_option():
    item = sunnybrook_datalist(SAMPLE)[0]
    before = dict(item)
    LoadCineSectiond("image")(item)
    assert item == before
    assert LoadCineSectiond("other", allow_missing_keys=True)({"case": "a"}) == {"case": "a"}


def test_damaged_section_is_named(tmp_path):
    with pytest.raises(UnusableFileError, match=r"missing\.dcm"):
        LoadCineSection()([tmp_path / "missing.dcm", tmp_path / "other.dcm"])
