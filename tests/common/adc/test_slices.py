import logging

import pytest
import torch

from common.adc import SliceDataset, brain_slices
from common.errors import NoDataError, UnusableFileError


def prepare(item):
    if item["case"] == "bad":
        raise UnusableFileError("bad.mha: expected a whole image file")
    torch.manual_seed(int(item["case"]))
    image = torch.randn(2, 6, 5, 4)
    image[..., 0] = -6.0
    return {"case": item["case"], "image": image, "label": (image[:1] > 0).to(torch.uint8), "note": "kept out"}


def test_gives_each_slice_with_brain_once_with_its_case():
    dataset = SliceDataset([{"case": "1"}, {"case": "2"}], prepare, progress=False)
    assert [(item["case"], item["slice_number"]) for item in dataset] == [(c, k) for c in "12" for k in (1, 2, 3)]
    volume = prepare({"case": "2"})
    assert torch.equal(dataset[4]["image"], volume["image"][..., 2])
    assert torch.equal(dataset[4]["label"], volume["label"][..., 2])


def test_transform_acts_on_each_access():
    dataset = SliceDataset([{"case": "1"}], prepare, lambda item: {**item, "image": item["image"] + 1}, progress=False)
    assert torch.equal(dataset[0]["image"], prepare({"case": "1"})["image"][..., 1] + 1)


def test_bad_volume_is_left_out_and_named(caplog):
    with caplog.at_level(logging.WARNING):
        dataset = SliceDataset([{"case": "bad"}, {"case": "1"}], prepare, progress=False)
    assert len(dataset) == 3
    assert "bad is left out of the training: bad.mha: expected a whole image file" in caplog.text


def test_nothing_left_is_an_error():
    with pytest.raises(NoDataError, match="found none that can be used among 1"):
        SliceDataset([{"case": "bad"}], prepare, progress=False)


def test_brain_is_whatever_departs_from_the_background_in_any_channel():
    volume = torch.full((2, 3, 3, 4), -6.0)
    volume[1, 0, 0, 2] = 0.0
    assert brain_slices(volume, -6.0).tolist() == [2]
