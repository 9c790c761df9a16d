"""Ejection fraction by summation of discs, and its class."""

from pathlib import Path

import numpy as np
import pytest

from common.cine import (
    ejection_fraction,
    ejection_fraction_from_contours,
    ejection_fraction_from_masks,
    hf_class,
)
from common.cine.labels import diastolic_slices, polygon_area, read_contours
from common.errors import UnusableFileError

# Number -> slice, frame of a stack of 2 slices x 10 frames, numbered by section.
POSITIONS = {s * 10 + t + 1: (s, t) for s in range(2) for t in range(10)}


def square(side):
    return np.array([[0, 0], [side, 0], [side, side], [0, side]], dtype=float)


def test_area_of_a_triangle_in_either_sense():
    triangle = np.array([[1.0, 1.0], [5.0, 1.0], [1.0, 4.0]])
    assert polygon_area(triangle) == polygon_area(triangle[::-1]) == 6.0


def test_fraction_of_contours_by_hand():
    # End-diastole (frame 9) 400 + 100 pixels, end-systole (frame 3) 100 + 25.
    contours = {10: square(20), 20: square(10), 4: square(10), 14: square(5)}
    assert ejection_fraction_from_contours(contours, POSITIONS, 10) == pytest.approx(75.0)
    assert diastolic_slices(contours, POSITIONS) == {0, 1}


def test_contour_one_frame_off_counts_for_the_nearer_phase_on_the_circle():
    # Frame 0 is one step from frame 9, end-diastole, across the R wave.
    contours = {10: square(20), 20: square(20), 1: square(20), 4: square(10), 14: square(10)}
    # Diastole 3 x 400 pixels, systole 2 x 100.
    assert ejection_fraction_from_contours(contours, POSITIONS, 10) == pytest.approx(100 * (1200 - 200) / 1200)


def test_base_without_systolic_contour_counts_as_empty_then():
    contours = {10: square(20), 20: square(20), 4: square(10)}
    assert ejection_fraction_from_contours(contours, POSITIONS, 10) == pytest.approx(100 * (800 - 100) / 800)


def test_contours_that_fit_no_image_or_one_phase_only_are_refused():
    with pytest.raises(ValueError, match=r"contours \[99\] have no image"):
        ejection_fraction_from_contours({99: square(2), 1: square(3)}, POSITIONS, 10)
    with pytest.raises(ValueError, match="one phase only"):
        ejection_fraction_from_contours({1: square(2), 11: square(3)}, POSITIONS, 10)


def test_mask_ef_counts_voxels():
    diastole, systole = np.zeros((4, 5, 2), bool), np.zeros((4, 5, 2), bool)
    diastole[:, :, 0] = True
    systole[:2, :4, 0] = True
    assert ejection_fraction_from_masks(diastole, systole) == pytest.approx(60.0)
    with pytest.raises(ValueError, match="one shape"):
        ejection_fraction_from_masks(diastole, systole[:3])
    with pytest.raises(ValueError, match="a diastolic volume and a smaller systolic one, found 0 and 8"):
        ejection_fraction_from_masks(systole & False, systole)


def test_ejection_fraction_by_hand():
    assert ejection_fraction(120.0, 48.0) == pytest.approx(60.0)


@pytest.mark.parametrize("ef,threshold,label", [(49.9, 50, 1), (50.0, 50, 0), (45.0, 40, 0), (39.9, 40, 1)])
def test_class_is_reduced_strictly_below_the_threshold(ef, threshold, label):
    assert hf_class(ef, threshold) == label


def test_class_of_impossible_numbers_is_refused():
    with pytest.raises(ValueError, match="ejection fraction in percent"):
        hf_class(130.0)
    with pytest.raises(ValueError, match="ejection fraction in percent"):
        hf_class(-20.0)
    with pytest.raises(ValueError, match="ejection fraction in percent"):
        hf_class(float("nan"))
    with pytest.raises(ValueError, match="EF threshold"):
        hf_class(40.0, 0.0)


def test_contour_is_named_by_the_last_number(tmp_path):
    path = tmp_path / "IM-0003-0048-icontour-manual.txt"
    path.write_text("1.5 2\n3 2\n3 4.25\n")
    contours = read_contours([path])
    assert list(contours) == [48] and contours[48].tolist() == [[1.5, 2], [3, 2], [3, 4.25]]


@pytest.mark.parametrize("text", ["1 2\n3 4\n", "a b\n1 2\n3 4\n", "1 2 3\n4 5 6\n7 8 9\n", "", "1 2\n3\n4 5\n"])
def test_damaged_contour_is_refused(tmp_path, text):
    path = tmp_path / "IM-0001-0048-icontour-manual.txt"
    path.write_text(text)
    with pytest.raises(UnusableFileError, match=r"0048.*expected .*x y in pixels"):
        read_contours([path])


def test_contour_without_number_is_refused(tmp_path):
    path = tmp_path / "contour.txt"
    path.write_text("1 2\n3 4\n5 6\n")
    with pytest.raises(UnusableFileError, match="expected an image number in the name"):
        read_contours([path])


def test_shoelace_area_of_real_contours_is_that_of_their_pixels():
    from skimage.draw import polygon

    folder = Path(__file__).parents[2] / "data" / "sunnybrook_sample" / "contours"
    contours = read_contours(sorted(folder.rglob("*icontour*.txt")))
    assert sorted(contours) == [128, 139, 148, 159]
    for contour in contours.values():
        rows, _ = polygon(contour[:, 1], contour[:, 0])
        assert polygon_area(contour) == pytest.approx(len(rows), rel=0.03)
