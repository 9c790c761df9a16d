"""Screens whose trace runs backwards in time, with the shipped weights: E and A change their names, and it is said."""

import pydicom
import pytest

from tests.bundles.attacks import infer
from tests.bundles.harness import simulate

DOPPLER = 3  # RegionDataType of a spectral Doppler trace, (0018,6014)


def mirror(path):
    """Turn the time of a screen's trace round, in place."""
    screen = pydicom.dcmread(path)
    if screen.file_meta.TransferSyntaxUID.is_compressed:
        screen.decompress()
    pixels = screen.pixel_array.copy()
    for region in screen.SequenceOfUltrasoundRegions:
        if region.RegionDataType == DOPPLER:
            rows = slice(region.RegionLocationMinY0, region.RegionLocationMaxY1 + 1)
            columns = slice(region.RegionLocationMinX0, region.RegionLocationMaxX1 + 1)
            pixels[rows, columns] = pixels[rows, columns][:, ::-1]
    screen.PixelData = pixels.tobytes()
    screen.save_as(path)


@pytest.mark.slow
def test_most_traces_that_run_backwards_are_said_to_and_no_other(tmp_path):
    data = simulate("doppler_keypoint", tmp_path / "data", cases=16, seed=921, style="cart") / "labelled"

    def backwards(name):
        rows, _ = infer("doppler_keypoint", data, tmp_path / name)
        assert len(rows) == 16
        return sum("as in a trace that runs backwards" in row["doubts"] for row in rows.values())

    assert backwards("right") == 0
    for path in data.glob("*.dcm"):
        mirror(path)
    assert backwards("mirrored") >= 8
