import nibabel
import numpy as np
import pytest
import SimpleITK

from common.echo import simulate_echo
from common.echo.sequence import eight_bit_levels, open_sequence
from common.errors import UnusableFileError


def speckle(count=6):
    """(T, H, W) with another number of rows than of columns."""
    return np.random.default_rng(0).integers(0, 200, (count, 20, 30)).astype(np.uint8)


def save(path, values, zooms=(1, 1, 1), unit=None):
    image = nibabel.Nifti1Image(values, np.eye(4))
    image.header.set_zooms(zooms)
    if unit:
        image.header.set_xyzt_units("mm", unit)
    nibabel.save(image, path)
    return path


def test_reads_columns_rows_and_frames(tmp_path):
    frames = speckle()
    for values, zooms in ((frames.T, (1, 1, 1)), (frames.T[:, :, None], (1, 1, 1, 0))):
        cine = open_sequence(save(tmp_path / "a.nii.gz", np.ascontiguousarray(values), zooms))
        np.testing.assert_array_equal(cine.read(range(6))[..., 0], frames)
        assert (cine.frame_interval_ms, cine.rate_source) == (None, "")


def test_reads_colour(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (6, 20, 30, 3)).astype(np.uint8)
    packed = np.ascontiguousarray(colours.transpose(2, 1, 0, 3)).view([("R", "u1"), ("G", "u1"), ("B", "u1")])
    np.testing.assert_array_equal(open_sequence(save(tmp_path / "a.nii", packed[..., 0])).read(range(6)), colours)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(colours, isVector=True), str(tmp_path / "a.mha"))
    np.testing.assert_array_equal(open_sequence(tmp_path / "a.mha").read(range(6)), colours)


@pytest.mark.parametrize(
    ("step", "unit", "expected_ms"),
    [
        (0.02, "sec", 20),
        (20, "msec", 20),
        (20_000, "usec", 20),
        (0.02, None, 20),  # without a unit, only seconds are possible
        (20, None, 20),
        (1, None, None),  # what a header holds that nobody filled
        (0, "sec", None),
    ],
)
def test_takes_the_frame_rate_from_the_header(tmp_path, step, unit, expected_ms):
    path = save(tmp_path / "a.nii", np.ascontiguousarray(speckle().T[:, :, None]), (1, 1, 1, step), unit)
    cine = open_sequence(path)
    assert cine.frame_interval_ms == (None if expected_ms is None else pytest.approx(expected_ms))
    assert cine.rate_source == ("pixdim[4]" if expected_ms else "")


@pytest.mark.parametrize("layout", ["camus", "camus_mhd"])
def test_takes_the_frame_rate_from_the_info_file_of_camus(tmp_path, layout):
    simulate_echo(tmp_path, cases=1, layout=layout, size=32, frame_rate_hz=40)
    (path,) = [path for path in tmp_path.rglob("*_4CH_*") if path.name.endswith((".nii.gz", ".mhd"))]
    cine = open_sequence(path)
    assert (cine.frame_interval_ms, cine.rate_source) == (25, "FrameRate in Info_4CH.cfg")


def test_tells_how_wide_a_pixel_is(tmp_path):
    path = save(tmp_path / "a.nii", np.ascontiguousarray(speckle().T), (0.3, 0.15, 1))
    assert open_sequence(path).pixel_aspect == pytest.approx(2)


def test_scales_the_grey_levels(tmp_path):
    path = save(tmp_path / "a.nii", np.ascontiguousarray(speckle().T / 255.0))
    cine = open_sequence(path)
    np.testing.assert_array_equal(cine.read(range(6))[..., 1], speckle())
    assert cine.notes == ("grey levels were scaled from 0 to 1 to 8 bits",)


def test_refuses_a_volume_that_is_no_sequence(tmp_path):
    path = save(tmp_path / "a.nii", np.zeros((6, 5, 4, 3), np.uint8), (1, 1, 1, 1))
    with pytest.raises(UnusableFileError, match=r"a.nii: expected a sequence of 2D frames, found 6 x 5 x 4 x 3"):
        open_sequence(path)


@pytest.mark.parametrize("kept", [0.9, 0.6, 0.1])
def test_refuses_a_compressed_file_that_is_cut_off(tmp_path, kept):
    path = save(tmp_path / "a.nii.gz", np.ascontiguousarray(speckle(40).T))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UnusableFileError, match=r"a.nii.gz: expected whole compressed data"):
        open_sequence(path)


def test_refuses_by_the_header_what_the_file_cannot_hold(tmp_path):
    path = save(tmp_path / "a.nii", np.ascontiguousarray(speckle().T))
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()  # dim[1] to dim[3]
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=r"a.nii: expected at most .* claims 30000 x 30000 x 30000"):
        open_sequence(path)


def test_refuses_two_statements_of_its_place_that_disagree(tmp_path):
    image = nibabel.Nifti1Image(np.ascontiguousarray(speckle().T), np.eye(4))
    image.set_sform(np.eye(4), 1)
    moved = np.eye(4)
    moved[0, 3] = 12
    image.set_qform(moved, 1)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(UnusableFileError, match=r"(?s)a.nii: .*form.*form"):
        open_sequence(tmp_path / "a.nii")


LEVELS = np.arange(0, 256, 5, dtype=np.uint8).reshape(2, 2, 13)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_levels_up_to_255_stay_whatever_their_type(kind):
    found, notes, doubts = eight_bit_levels(LEVELS.astype(kind), "a.nii")
    np.testing.assert_array_equal(found, LEVELS)
    assert notes == doubts == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (LEVELS / 255.0, "0 to 1"),
        (LEVELS.astype(np.int16) * 4, "10 bits"),  # up to 1020
        (LEVELS.astype(np.int16) * 16, "12 bits"),
        (LEVELS.astype(np.float32) * 16, "12 bits"),
        (LEVELS.astype(np.uint16) * 257, "16 bits"),
    ],
)
def test_other_ranges_are_scaled_and_said(values, said):
    found, notes, doubts = eight_bit_levels(values, "a.nii")
    assert np.abs(found.astype(int) - LEVELS).max() <= 1
    assert notes == (f"grey levels were scaled from {said} to 8 bits",) and doubts == ()


def test_doubts_a_range_that_the_levels_do_not_fill():
    _, _, doubts = eight_bit_levels(np.array([0, 1200], np.int16), "a.nii")
    assert doubts == ("grey levels up to 1200 were taken as 12 bits",)


@pytest.mark.parametrize("wrong", [[-60.0, 0.0], [0.0, np.nan], [0.0, np.inf], [0.0, 1e6]])
def test_refuses_what_are_no_grey_levels(wrong):
    with pytest.raises(UnusableFileError, match=r"a.nii: expected grey levels from 0 to 255, found"):
        eight_bit_levels(np.array(wrong), "a.nii")
