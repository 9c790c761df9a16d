import numpy as np
import pytest
import torch

from common.echo import ReadBeat, ReadBeatd, camus_datalist, simulate_echo
from common.echo.beat import resample_in_time
from common.echo.phantoms.writers import write_video
from common.errors import UnusableFileError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video of 20 frames of 40 x 60; frame n is as bright as 10 n + 20, but for white columns at both sides."""
    frames = np.stack([np.full((40, 60), 10 * n + 20, np.uint8) for n in range(20)])
    frames[:, :, :8] = frames[:, :, 52:] = 255
    path = tmp_path_factory.mktemp("video") / "a.avi"
    write_video(path, frames, 25)
    return path


def levels(clip):
    return ((clip.mean((0, 2, 3)) - 20) / 10).tolist()


def test_goes_through_a_cubic_in_time():
    times = torch.arange(9.0)
    clip = (0.2 * times**3 - 2 * times**2 + 5 * times + 60).reshape(1, 9, 1, 1)
    at = torch.linspace(0, 8, 16)
    expected = 0.2 * at**3 - 2 * at**2 + 5 * at + 60
    torch.testing.assert_close(resample_in_time(clip, 16).flatten(), expected, rtol=1e-5, atol=1e-4)


def test_keeps_the_ends_and_takes_two_frames_as_a_line():
    clip = torch.tensor([10.0, 50.0]).reshape(1, 2, 1, 1)
    torch.testing.assert_close(resample_in_time(clip, 5).flatten(), torch.tensor([10.0, 20, 30, 40, 50]))


def test_reads_the_beat_forwards_and_backwards(video):
    read = ReadBeat(frames=9, size=16, centre_crop=True)
    forwards, backwards = read(video, (4, 12)), read(video, (12, 4))
    assert levels(forwards) == pytest.approx(list(range(4, 13)), abs=0.2)
    torch.testing.assert_close(backwards, forwards.flip(1))


def test_cuts_to_the_central_square_or_squeezes_or_pads(video):
    assert levels(ReadBeat(20, 40, centre_crop=True)(video))[0] == pytest.approx(0, abs=0.2)
    squeezed = ReadBeat(20, 40)(video)[0, 0]
    assert squeezed[20, 0] > 200 and squeezed[0, 20] == pytest.approx(20, abs=3)
    padded = ReadBeat(20, 40, keep_aspect=True)(video)[0, 0]
    assert padded[20, 0] > 200 and padded[0, 20] == 0


def test_names_a_beat_that_the_video_does_not_hold(video):
    with pytest.raises(UnusableFileError, match=r"its 20 frames as the ends of the beat, found 1 and 21"):
        ReadBeat()(video, (0, 20))
    with pytest.raises(UnusableFileError, match="found 4 and 4"):
        ReadBeatd("image")({"image": str(video), "frame_range": (3, 3)})
    with pytest.raises(ValueError, match="expected numbers over 0, found 0, 112"):
        ReadBeat(frames=0)


def test_takes_camus_from_diastole_to_systole_whichever_is_first(tmp_path):
    """The cavity is dark: fewer dark pixels at the end of its emptying."""
    simulate_echo(tmp_path, cases=12, seed=1, layout="camus", size=64, ef_percent=(60, 70))
    items = camus_datalist(tmp_path)
    assert len({item["frame_range"][0] > 0 for item in items}) == 2, "one of both orders is needed"
    for item in items:
        clip = ReadBeatd("image", 16, 64)(item)["image"]
        assert clip.shape == (3, 16, 64, 64)
        heart = clip[0, :, 10:40, 24:44]
        assert (heart[0] < 60).sum() > 1.1 * (heart[-1] < 60).sum()
