import av
import numpy as np
import pytest

from common.echo import open_video, video
from common.echo.phantom_writers import write_video
from common.errors import UnusableFileError


def numbered_frames(count, size=32):
    """Frame n is as bright as 3 n + 30, with a square that moves by a pixel a frame."""
    frames = np.empty((count, size, size), np.uint8)
    for index in range(count):
        frames[index] = 30 + 3 * index
        frames[index, 4:10, index % (size - 6) : index % (size - 6) + 6] = 0
    return frames


def write_predicted(path, frames, codec="mpeg4", key_interval=8, b_frames=0):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "yuv420p"
        stream.codec_context.gop_size = key_interval
        stream.codec_context.max_b_frames = b_frames
        stream.bit_rate = 4_000_000
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode(None))


def brightness(frames):
    return np.round((frames[:, 16:, :, 0].mean((1, 2)) - 30) / 3).astype(int).tolist()


WANTED = [0, 7, 8, 9, 29, 3, 3]


def test_returns_the_frames_asked_for_in_their_order(tmp_path):
    write_video(tmp_path / "a.avi", numbered_frames(30), 50)
    cine = open_video(tmp_path / "a.avi")
    assert (cine.frame_count, cine.frame_interval_ms) == (30, pytest.approx(20))
    frames = cine.read(WANTED)
    assert frames.shape == (7, 32, 32, 3) and frames.dtype == np.uint8
    assert brightness(frames) == WANTED


@pytest.mark.parametrize(("name", "b_frames"), [("a.mp4", 0), ("a.mp4", 2), ("a.avi", 0), ("a.avi", 2)])
def test_returns_the_right_frames_of_predicted_video(tmp_path, name, b_frames):
    write_predicted(tmp_path / name, numbered_frames(30), b_frames=b_frames)
    cine = open_video(tmp_path / name)
    assert cine.frame_count == 30
    assert brightness(cine.read(WANTED)) == WANTED
    assert brightness(cine.read([20, 21])) == [20, 21]


def test_decodes_only_the_wanted_frames_of_motion_jpeg(tmp_path, monkeypatch):
    write_video(tmp_path / "a.avi", numbered_frames(60), 50)
    cine = open_video(tmp_path / "a.avi")
    decoded, counted = [], video._numbered_frames

    def counting(*arguments):
        for index, frame in counted(*arguments):
            decoded.append(index)
            yield index, frame

    monkeypatch.setattr(video, "_numbered_frames", counting)
    cine.read([4, 40, 8])
    assert decoded == [4, 8, 40]


def test_reads_colour_and_grey_alike(tmp_path):
    grey = numbered_frames(4)
    write_video(tmp_path / "grey.avi", grey, 30)
    write_video(tmp_path / "colour.avi", np.repeat(grey[..., None], 3, 3), 30)
    first, second = (open_video(tmp_path / name).read(range(4)).astype(int) for name in ("grey.avi", "colour.avi"))
    assert np.abs(first - second).max() <= 2


def test_names_a_truncated_file(tmp_path):
    write_video(tmp_path / "a.avi", numbered_frames(60, 64), 50)
    whole = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "half.avi").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableFileError, match=r"half.avi: expected the 60 frames .* truncated; copy it again"):
        open_video(tmp_path / "half.avi")


def test_names_a_file_without_frames_or_of_another_kind(tmp_path):
    write_video(tmp_path / "a.avi", numbered_frames(2), 50)
    whole = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "none.avi").write_bytes(whole[: whole.index(b"movi") + 4])
    with pytest.raises(UnusableFileError, match=r"none.avi"):
        open_video(tmp_path / "none.avi")
    (tmp_path / "text.avi").write_text("not a video")
    with pytest.raises(UnusableFileError, match=r"text.avi: expected a video, found"):
        open_video(tmp_path / "text.avi")
    (tmp_path / "empty.avi").write_bytes(b"")
    with pytest.raises(UnusableFileError, match=r"empty.avi: expected a video"):
        open_video(tmp_path / "empty.avi")
    with pytest.raises(FileNotFoundError):
        open_video(tmp_path / "absent.avi")


def test_refuses_frames_that_are_not_there(tmp_path):
    write_video(tmp_path / "a.avi", numbered_frames(3), 50)
    with pytest.raises(ValueError, match=r"expected frame indices from 0 to 2, found \[1, 3\]"):
        open_video(tmp_path / "a.avi").read([1, 3])
