import av
import numpy as np
import pytest

from common.doppler import LoadDopplerd, read_doppler
from common.doppler.video import read_video_frame, video_size
from common.errors import UnusableFileError

FRAMES = 5


@pytest.fixture(params=[("clip.avi", "mjpeg", "yuvj420p"), ("clip.mp4", "mpeg4", "yuv420p")], ids=["avi", "mp4"])
def clip(request, tmp_path):
    """A video whose frame n is of brightness 40 n."""
    name, codec, pixels = request.param
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("frame", "number"), [(-1, 4), (0, 0), (3, 3), (-2, 3), (-5, 0)])
def test_gives_the_frame_that_is_asked_for(clip, frame, number):
    assert read_video_frame(clip, frame).shape == (64, 96, 3)
    assert read_video_frame(clip, frame).mean() == pytest.approx(40 * number, abs=4)


@pytest.mark.parametrize("frame", [5, -6])
def test_refuses_a_frame_beyond_the_end(clip, frame):
    with pytest.raises(UnusableFileError, match=f"expected a frame {frame}, found 5 frames; choose another --frame"):
        read_video_frame(clip, frame)


@pytest.mark.parametrize("frame", [-1, 0, 7, -3])
def test_a_video_of_one_frame_has_that_one(tmp_path, frame):
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 96, 3), 80, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    assert read_video_frame(tmp_path / "a.avi", frame).mean() == pytest.approx(80, abs=4)


def test_a_video_is_read_as_a_picture_of_its_last_frame(clip):
    assert video_size(clip) == (64, 96)
    image = read_doppler(clip)
    assert image.pixels.mean() == pytest.approx(160 / 255, abs=0.02) and image.box == (0, 0, 95, 63)
    first = LoadDopplerd(frame=0)({"image": str(clip)})["image"]
    assert first.shape == (1, 64, 96) and float(first.mean()) == pytest.approx(0, abs=0.02)


def test_refuses_what_is_no_whole_video(clip):
    data = clip.read_bytes()
    clip.write_bytes(b"no video at all" * 100)
    with pytest.raises(UnusableFileError, match=r"expected a (whole )?video"):
        read_doppler(clip)
    clip.write_bytes(data[: len(data) // 3])
    with pytest.raises(UnusableFileError):
        read_video_frame(clip, FRAMES - 1)
