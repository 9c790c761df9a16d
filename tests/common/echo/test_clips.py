import numpy as np
import pytest
import torch

from common.echo import ReadClips, ReadClipsd
from common.echo import video as video_module
from common.echo.clips import evenly_spread, start_positions, stride_in_frames
from common.echo.phantom_writers import write_video
from common.errors import UnusableFileError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video of 40 frames of 32 x 32; frame n is as bright as 5 n + 20."""
    path = tmp_path_factory.mktemp("video") / "a.avi"
    write_video(path, np.stack([np.full((32, 32), 5 * n + 20, np.uint8) for n in range(40)]), 50)
    return path


def numbers(clip):
    """The frame numbers of a (3, T, H, W) clip; -4 is a black frame."""
    return torch.round((clip.float().mean((0, 2, 3)) - 20) / 5).int().tolist()


@pytest.mark.parametrize(("frame_count", "positions"), [(28, 4), (143, 4), (144, 4), (145, 5), (200, 60), (1002, 862)])
def test_has_the_published_number_of_starts(frame_count, positions):
    assert start_positions(frame_count, 36, 4) == positions


def test_takes_every_strideth_frame_from_the_start(video):
    clips = ReadClips(frames=6, stride=3, clips=2, size=32)(video, [2, 20])
    assert clips.shape == (2, 3, 6, 32, 32) and clips.dtype == torch.uint8
    assert [numbers(clip) for clip in clips] == [[2, 5, 8, 11, 14, 17], [20, 23, 26, 29, 32, 35]]


def test_fills_a_short_video_with_black_frames_at_the_end(video):
    clips = ReadClips(frames=15, stride=4, clips=1, size=32)(video, [3])
    assert numbers(clips[0]) == [3, 7, 11, 15, 19, 23, 27, 31, 35, 39, *[-4] * 5]
    assert (clips[0, :, 10:] == 0).all()


def test_draws_every_start_and_no_other_the_same_for_a_seed(video):
    read = ReadClips(frames=9, stride=4, clips=2, size=32, random=True).set_random_state(7)
    drawn = {start for _ in range(60) if read(video) is not None for start in read.starts}
    assert drawn == set(range(start_positions(40, 9, 4))) == set(range(8))
    again = ReadClips(frames=9, stride=4, clips=2, size=32, random=True).set_random_state(7)
    assert torch.equal(again(video), ReadClips(9, 4, 2, 32, True).set_random_state(7)(video))


def test_spreads_test_clips_evenly(video):
    assert evenly_spread(60, 3) == [0, 30, 59]
    assert evenly_spread(61, 1) == [30]
    assert evenly_spread(1, 3) == [0, 0, 0]
    read = ReadClips(frames=4, stride=4, clips=3, size=32)
    read(video)
    assert read.starts == [0, 14, 27]


def test_takes_a_stride_in_milliseconds(video):
    assert stride_in_frames(4, None, None) == 4
    assert stride_in_frames(4, 80, 20) == 4
    assert stride_in_frames(4, 80, 33.3) == 2
    assert stride_in_frames(4, 5, 20) == 1
    with pytest.raises(ValueError, match="expected a cine with a frame rate"):
        stride_in_frames(4, 80, None)
    clips = ReadClips(frames=3, stride=1, size=32, stride_ms=100)(video, [0])
    assert numbers(clips[0]) == [0, 5, 10]


@pytest.mark.parametrize("shape", [(64, 64), (24, 48), (90, 60)])
def test_makes_other_sizes_square(tmp_path, shape):
    """The middle keeps its grey level; what is missing to a square is black."""
    write_video(tmp_path / "a.avi", np.full((4, *shape), 120, np.uint8), 50)
    clip = ReadClips(frames=2, stride=1, size=32)(tmp_path / "a.avi")[0].float()
    assert clip.shape == (3, 2, 32, 32)
    assert clip[:, :, 16, 16].mean() == pytest.approx(120, abs=3)
    covered = (clip[0, 0] > 60).float().mean().item()
    assert covered == pytest.approx(min(shape) / max(shape), abs=0.07)


def test_takes_starts_from_a_file_by_the_videos_name(video, tmp_path):
    (tmp_path / "starts.csv").write_text("FileName,0,1,2\na.avi,1,5,9\n")
    read = ReadClipsd("image", frames=5, stride=4, clips=3, size=32, start_file=str(tmp_path / "starts.csv"))
    item = {"image": str(video), "case": "a"}
    clips = read(item)["image"]
    assert [numbers(clip)[0] for clip in clips] == [1, 5, 9]
    assert item["image"] == str(video)
    assert [numbers(clip)[0] for clip in read({**item, "case": "b"})["image"]] == evenly_spread(24, 3)


def test_names_a_wrong_start_file(video, tmp_path):
    (tmp_path / "starts.csv").write_text("FileName,0\na,1.5\n")
    with pytest.raises(UnusableFileError, match=r"starts.csv: expected whole numbers for a, found \['1.5'\]"):
        ReadClipsd("image", start_file=str(tmp_path / "starts.csv"))
    (tmp_path / "starts.csv").write_text("video,0\na,1\n")
    with pytest.raises(UnusableFileError, match="expected a column FileName, found video, 0"):
        ReadClipsd("image", start_file=str(tmp_path / "starts.csv"))
    with pytest.raises(ValueError, match="expected a first frame from 0 to 23, found 24"):
        ReadClips(frames=5, stride=4, size=32)(video, [24])
    with pytest.raises(ValueError, match="expected numbers over 0, found 5, 0, 1, 112"):
        ReadClips(frames=5, stride=0)


def test_reads_no_more_frames_than_the_clip_needs(video, monkeypatch):
    decoded, numbered = [], video_module._numbered_frames

    def counting(*arguments):
        for index, frame in numbered(*arguments):
            decoded.append(index)
            yield index, frame

    monkeypatch.setattr(video_module, "_numbered_frames", counting)
    ReadClips(frames=3, stride=4, size=32)(video, [8])
    assert decoded == [8, 12, 16]
