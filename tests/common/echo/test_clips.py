import json

import av
import numpy as np
import pytest
import torch

from common.echo import ReadClips, ReadClipsd, echo_datalist, simulate_echo
from common.echo import video as video_module
from common.echo.clips import square_frames
from common.echo.frames import evenly_spread, start_positions, stride_in_frames
from common.echo.phantoms.writers import write_video
from common.errors import UnusableFileError
from tests.common.echo.test_reader import speckle, write_dicom


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video of 40 frames of 32 x 32; frame n is as bright as 5 n + 20 on the average."""
    path = tmp_path_factory.mktemp("video") / "a.avi"
    write_video(path, np.stack([stripes(5 * n + 20) for n in range(40)]), 50)
    return path


def stripes(level, shape=(32, 32)):
    """Broad stripes of the given mean."""
    return (level + np.where(np.arange(shape[1]) // 8 % 2, 15, -15) * np.ones((shape[0], 1))).astype(np.uint8)


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
def test_makes_other_sizes_square(shape):
    """The middle keeps its grey level; what is missing to a square is black."""
    clip = square_frames(np.full((4, *shape, 3), 120, np.uint8), 32).float()
    assert clip.shape == (3, 4, 32, 32)
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


def test_reads_no_more_frames_than_the_clip_needs_while_training(video, monkeypatch):
    decoded, alone = [], video_module._alone

    def counting(*arguments):
        for index, frame in alone(*arguments):
            decoded.append(index)
            yield index, frame

    monkeypatch.setattr(video_module, "_alone", counting)
    read = ReadClips(frames=3, stride=4, size=32, random=True)
    read(video, [8])
    assert decoded == [0, 8, 12, 16], "the first frame tells the size"


def test_a_clean_video_of_published_size_gives_its_decoded_frames_and_nothing_else(tmp_path):
    """By another way: FFmpeg's frames, every sixth from each start, untouched."""
    simulate_echo(tmp_path, cases=3, seed=4, frames=(150, 150))
    for item in echo_datalist(tmp_path, "all"):
        with av.open(item["image"]) as container:
            frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        read = ReadClips(frames=12, stride=3, clips=3, stride_ms=120)
        clips = read(item["image"])
        expected = [frames[start : start + 72 : 6] for start in (0, 42, 83)]  # 150 - 11 * 6 = 84 starts
        np.testing.assert_array_equal(clips.numpy(), np.stack(expected).transpose(0, 4, 1, 2, 3))
        assert read.record["done"] == read.record["doubts"] == []


@pytest.mark.parametrize("word", [None, 0, "0", "none", "None", "null"])
def test_counts_frames_where_the_stride_in_milliseconds_is_none(video, word):
    clips = ReadClips(frames=3, stride=4, size=32, stride_ms=word)(video, [2])
    assert numbers(clips[0]) == [2, 6, 10]


@pytest.mark.parametrize("word", [-80, "fast", float("nan")])
def test_names_a_stride_that_is_none(word):
    with pytest.raises(ValueError, match="stride_ms: expected milliseconds over 0, or none, found"):
        ReadClips(stride_ms=word)


def test_names_the_file_without_a_frame_rate_and_the_remedy(tmp_path):
    write_dicom(tmp_path / "a.dcm", speckle(8), interval_ms=None)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: .* frame rate, found none; give --stride_ms 0"):
        ReadClips(frames=3, stride=2, size=32, stride_ms=80)(tmp_path / "a.dcm")
    assert ReadClips(frames=3, stride=2, size=32)(tmp_path / "a.dcm").shape == (1, 3, 3, 32, 32)


def test_refuses_seconds_for_milliseconds(tmp_path):
    write_dicom(tmp_path / "a.dcm", speckle(8), interval_ms=0.02)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: .*FrameTime gives 0.02 ms from frame to frame"):
        ReadClips(frames=3, stride=2, size=32, stride_ms=80)(tmp_path / "a.dcm")
    read = ReadClips(frames=3, stride=2, size=32)
    read(tmp_path / "a.dcm")
    assert "FrameTime gives 0.02 ms" in read.record["doubts"][0]


def test_takes_frames_by_their_times(tmp_path):
    """31 frames 20 ms apart, then 29 that are 80 ms apart; frame n has grey level 4 n in its corner."""
    frames = speckle(60)
    frames[:, :8, :8] = (4 * np.arange(60))[:, None, None]
    vector = [0, *[20] * 30, *[80] * 29]
    write_dicom(tmp_path / "a.dcm", frames, interval_ms=None, FrameTimeVector=[str(value) for value in vector])
    read = ReadClips(frames=6, stride=1, size=48, stride_ms=120)
    clips = read(tmp_path / "a.dcm", [0])
    assert (clips[0, 0, :, 4, 4] // 4).tolist() == [0, 6, 12, 18, 24, 30]
    clips = read(tmp_path / "a.dcm", [30])  # at 600, 720, 840, 960 ms ...: 1.5 frames a step, the earlier of two
    assert (clips[0, 0, :, 4, 4] // 4).tolist() == [30, 31, 33, 34, 36, 37]
    assert "every 20 ms by their time stamps" in read.record["done"][0]


@pytest.mark.parametrize(("count", "said"), [(1, "found 1"), (2, "found 2"), (4, "at least 5 frames, found 4")])
def test_refuses_a_cine_of_a_few_frames(tmp_path, count, said):
    write_video(tmp_path / "a.avi", speckle(count), 50)
    with pytest.raises(UnusableFileError, match=rf"a\.avi: .*{said}"):
        ReadClips(frames=3, stride=1, size=32)(tmp_path / "a.avi")


def test_refuses_black_and_still_videos_but_not_while_training(tmp_path):
    write_video(tmp_path / "black.avi", np.zeros((20, 48, 48), np.uint8), 50)
    write_video(tmp_path / "still.avi", np.repeat(speckle(1), 20, axis=0), 50)
    read = {"frames": 4, "stride": 2, "size": 48}
    for name, said in (("black", "0.0% lit pixels only"), ("still", "0.0% of the picture moving")):
        with pytest.raises(UnusableFileError, match=rf"{name}\.avi: .*{said}"):
            ReadClips(**read)(tmp_path / f"{name}.avi")
        assert ReadClips(**read, random=True)(tmp_path / f"{name}.avi").shape == (1, 3, 4, 48, 48)


def test_the_dictionary_form_says_what_was_done(video):
    item = ReadClipsd("image", frames=15, stride=4, clips=1, size=32)({"image": str(video), "case": "a"})
    said = json.loads(item["input"])
    assert (said["frames"], said["stride_frames"], said["black_frames_at_the_end"]) == (40, 4, 5)
    assert said["frame_interval_ms"] == pytest.approx(20) and said["frame_rate_from"] == "time stamps of the video"
    assert "input" not in ReadClipsd("image", frames=5, stride=1, size=32, random=True)({"image": str(video)})
