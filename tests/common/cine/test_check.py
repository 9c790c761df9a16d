import numpy as np
import pytest
import torch

from common.cine import CheckCine, CheckCined


def section(shape=(1, 4, 5, 3)):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_a_good_section_comes_back_as_it_is(convert):
    good = convert(section())
    assert CheckCine()(good) is good


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_pixels_that_are_no_numbers(value):
    bad = section()
    bad[0, 1, 2, 1] = bad[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"expected finite pixels, found 2 of 60 NaN or infinite"):
        CheckCine()(bad)


def test_refuses_a_constant_image_and_names_its_value():
    with pytest.raises(ValueError, match=r"found the one value 7 in every pixel \(standard deviation 0\)"):
        CheckCine()(torch.full((1, 4, 4, 3), 7))


def test_refuses_a_still_image():
    with pytest.raises(ValueError, match="expected at least 2 frames, found 1; export the whole cine series"):
        CheckCine()(section((1, 4, 5, 1)))


@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 4, 5, 3), (1, 1, 4, 5, 3)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"expected one section of shape \(1, H, W, T\), found"):
        CheckCine()(section(shape))


@pytest.mark.parametrize(
    ("names", "message"),
    [({"case": "p1", "section": 4}, "^p1, section 4: "), ({"case": "p1"}, "^p1: "), ({}, "^image: ")],
)
def test_dictionary_form_names_case_and_section(names, message):
    with pytest.raises(ValueError, match=message):
        CheckCined("image")({"image": section((1, 4, 5, 1)), **names})


def test_dictionary_form_returns_the_item():
    item = {"image": section(), "case": "p1"}
    assert CheckCined("image")(item) == item
