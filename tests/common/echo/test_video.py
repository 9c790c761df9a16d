import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from common.echo import open_video, video
from common.echo.phantoms.writers import write_video
from common.errors import UnusableFileError


def numbered_frames(count, size=32):
    """Frame n is as bright as 3 n + 30, with a square that moves by a pixel a frame."""
    frames = np.empty((count, size, size), np.uint8)
    for index in range(count):
        frames[index] = 30 + 3 * index
        frames[index, 4:10, index % (size - 6) : index % (size - 6) + 6] = 0
    return frames


def write_encoded(path, frames, codec="mpeg4", key_interval=8, b_frames=0, stamps=None, aspect=None):
    """`stamps`: time of each frame in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = key_interval
        stream.codec_context.max_b_frames = b_frames
        stream.bit_rate = 4_000_000
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            if stamps is not None:
                frame.pts, frame.time_base = int(stamps[index]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


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


@pytest.mark.parametrize(
    ("name", "codec", "settings"),
    [
        ("a.mp4", "mpeg4", {}),
        ("a.mp4", "mpeg4", {"b_frames": 2}),
        ("a.avi", "mpeg4", {}),
        ("a.avi", "mpeg4", {"b_frames": 2}),
        ("a.avi", "libx264", {"b_frames": 2}),
        ("a.mp4", "libx264", {"b_frames": 2}),
        ("a.avi", "mpeg2video", {"key_interval": 1}),
        ("a.mpg", "mpeg2video", {"key_interval": 1}),
        ("a.mpg", "mpeg2video", {"b_frames": 2}),
        ("a.ts", "mpeg2video", {}),
        ("a.webm", "libvpx", {}),
        ("a.mkv", "mjpeg", {}),
    ],
)
def test_returns_the_right_frames_of_every_codec(tmp_path, name, codec, settings):
    write_encoded(tmp_path / name, numbered_frames(30), codec, **settings)
    cine = open_video(tmp_path / name)
    assert (cine.frame_count, cine.frame_interval_ms) == (30, pytest.approx(40))
    assert brightness(cine.read(WANTED)) == WANTED
    assert brightness(cine.read([20, 21])) == [20, 21]
    assert cine.notes == ()


def test_decodes_only_the_wanted_frames_of_motion_jpeg(tmp_path, monkeypatch):
    write_video(tmp_path / "a.avi", numbered_frames(60), 50)
    decoded, counted = [], video._alone

    def counting(*arguments):
        for index, frame in counted(*arguments):
            decoded.append(index)
            yield index, frame

    monkeypatch.setattr(video, "_alone", counting)
    open_video(tmp_path / "a.avi").read([4, 40, 8])
    assert decoded == [4, 8, 40]


def test_reads_colour_and_grey_alike(tmp_path):
    grey = numbered_frames(4)
    write_video(tmp_path / "grey.avi", grey, 30)
    write_video(tmp_path / "colour.avi", np.repeat(grey[..., None], 3, 3), 30)
    first, second = (open_video(tmp_path / name).read(range(4)).astype(int) for name in ("grey.avi", "colour.avi"))
    assert np.abs(first - second).max() <= 2


def with_matrix(path, a, b, c, d, right=0, down=0):
    """Write the display matrix into the track header, where phones write it."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and numbers, reserved and layers
    assert struct.unpack_from(">i", content, place)[0] == 1 << 16
    values = (a << 16, b << 16, 0, c << 16, d << 16, 0, right << 16, down << 16, 1 << 30)
    struct.pack_into(">9i", content, place, *values)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((0, 1, -1, 0, 32, 0), lambda f: np.rot90(f, -1, (1, 2))),  # a quarter turn clockwise
        ((0, -1, 1, 0, 0, 48), lambda f: np.rot90(f, 1, (1, 2))),
        ((-1, 0, 0, -1, 48, 32), lambda f: f[:, ::-1, ::-1]),
        ((-1, 0, 0, 1, 48, 0), lambda f: f[:, :, ::-1]),  # mirrored, as front cameras do
        ((1, 0, 0, -1, 0, 32), lambda f: f[:, ::-1]),
        ((0, 1, 1, 0, 0, 0), lambda f: f.transpose(0, 2, 1)),
    ],
)
def test_shows_a_video_as_its_display_matrix_says(tmp_path, matrix, shown):
    rows, columns = np.mgrid[:32, :48]
    frames = np.repeat((2 * rows + 3 * columns + 20)[None], 6, axis=0).astype(np.uint8)
    write_encoded(tmp_path / "a.mp4", frames)
    with_matrix(tmp_path / "a.mp4", *matrix)
    cine = open_video(tmp_path / "a.mp4")
    found = cine.read(range(6))[..., 0].astype(int)
    assert np.abs(found - shown(frames)).mean() < 3
    assert cine.notes == ("turned upright as its display matrix says",)


def test_refuses_a_matrix_of_another_angle(tmp_path):
    write_encoded(tmp_path / "a.mp4", numbered_frames(6))
    with_matrix(tmp_path / "a.mp4", 1, 1, -1, 1)
    with pytest.raises(UnusableFileError, match=r"a.mp4: expected a video turned by right angles at most"):
        open_video(tmp_path / "a.mp4")


def test_says_how_wide_a_pixel_is(tmp_path):
    write_encoded(tmp_path / "a.mp4", numbered_frames(6), aspect=2)
    assert open_video(tmp_path / "a.mp4").pixel_aspect == 2
    write_encoded(tmp_path / "b.mp4", numbered_frames(6))
    assert open_video(tmp_path / "b.mp4").pixel_aspect == 1


def test_leaves_out_the_frames_that_an_edit_list_hides(tmp_path):
    write_encoded(tmp_path / "a.mp4", numbered_frames(30), b_frames=2)
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    place = content.index(b"elst") + 12  # version and flags, number of entries
    duration, start = struct.unpack_from(">Ii", content, place)
    struct.pack_into(">Ii", content, place, duration - 200, start + 5 * 512)  # five frames of 1/12800 s x 512
    (tmp_path / "a.mp4").write_bytes(content)
    cine = open_video(tmp_path / "a.mp4")
    assert cine.frame_count == 25
    assert brightness(cine.read([0, 24])) == [5, 29]


def test_samples_uneven_time_stamps_by_time(tmp_path):
    """15 frames 20 ms apart, then 15 that are 80 ms apart: 57 steps of 20 ms."""
    stamps = np.cumsum([0] + [20] * 15 + [80] * 14)
    write_encoded(tmp_path / "a.mp4", numbered_frames(30), stamps=stamps)
    cine = open_video(tmp_path / "a.mp4")
    assert (cine.frame_count, cine.frame_interval_ms) == (15 + 4 * 14 + 1, pytest.approx(20))
    # At 300, 320, 340 (equally near to frames 15 and 16), 360 and 380 ms.
    assert brightness(cine.read([0, 1, 15, 16, 17, 18, 19, 71])) == [0, 1, 15, 15, 15, 16, 16, 29]
    assert "every 20 ms by their time stamps" in cine.notes[0]


def test_samples_a_gif_by_its_delays(tmp_path):
    images = [Image.fromarray(frame) for frame in numbered_frames(20)]
    durations = [20] * 10 + [60] * 10
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=durations)
    cine = open_video(tmp_path / "a.gif")
    assert cine.frame_interval_ms == pytest.approx(20)
    assert brightness(cine.read([0, 10, 13, 16])) == [0, 10, 11, 12]


def with_empty_chunks(path, empty):
    """Rewrite an AVI so that the chunks of the `empty` frames hold nothing, as capture programs write drops."""
    content = path.read_bytes()
    index, movie = content.index(b"idx1"), content.index(b"movi")
    body, entries = b"movi", b""
    for number in range(struct.unpack_from("<I", content, index + 4)[0] // 16):
        name, flags, offset, size = struct.unpack_from("<4sIII", content, index + 8 + 16 * number)
        data = b"" if number in empty else content[movie + offset + 8 : movie + offset + 8 + size]
        entries += struct.pack("<4sIII", name, flags if data else 0, len(body), len(data))
        body += name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    lists = b"LIST" + struct.pack("<I", len(body)) + body + b"idx1" + struct.pack("<I", len(entries)) + entries
    whole = content[: movie - 8] + lists
    path.write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
def test_a_dropped_frame_shifts_no_other(tmp_path, codec):
    path = tmp_path / "a.avi"
    if codec == "mjpeg":
        write_video(path, numbered_frames(30), 25)
    else:
        write_encoded(path, numbered_frames(30), codec, key_interval=1)
    with_empty_chunks(path, {10, 20, 21})
    cine = open_video(path)
    assert (cine.frame_count, cine.frame_interval_ms) == (30, pytest.approx(40))
    assert brightness(cine.read(range(30))) == [*range(10), 9, *range(11, 20), 19, 22, *range(22, 30)]
    assert "3 of 30 are repeats" in cine.notes[0]


@pytest.mark.parametrize("folder", ["10:30", "1e5", "a,b", "{x}", "50 % #2", "http:", "ä ü"])
def test_opens_files_in_folders_of_any_name(tmp_path, monkeypatch, folder):
    (tmp_path / folder).mkdir()
    write_video(tmp_path / folder / "a.avi", numbered_frames(6), 50)
    write_encoded(tmp_path / folder / "a.mp4", numbered_frames(6))
    monkeypatch.chdir(tmp_path)
    assert [open_video(f"{folder}/{name}").frame_count for name in ("a.avi", "a.mp4")] == [6, 6]


def test_opens_a_file_with_a_title_in_another_encoding(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "M\u00fcller"
        stream = container.add_stream("mpeg4", rate=25)
        stream.height = stream.width = 32
        stream.pix_fmt = "yuv420p"
        for picture in numbered_frames(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert "M\u00fcller".encode() in content
    path.write_bytes(content.replace("M\u00fcller".encode(), b"M\xfcllers"))
    assert open_video(path).frame_count == 6


def test_opens_no_playlist(tmp_path):
    write_video(tmp_path / "a.avi", numbered_frames(6), 50)
    (tmp_path / "list.avi").write_text(f"ffconcat version 1.0\nfile {tmp_path / 'a.avi'}\n")
    with pytest.raises(UnusableFileError, match=r"list.avi: expected a video, found"):
        open_video(tmp_path / "list.avi")


def test_names_a_truncated_file(tmp_path):
    write_video(tmp_path / "a.avi", numbered_frames(60, 64), 50)
    whole = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "half.avi").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableFileError, match=r"half.avi: expected the 60 frames .* truncated; copy"):
        open_video(tmp_path / "half.avi")


def test_leaves_out_a_last_frame_that_is_cut(tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, numbered_frames(20, 64), 50)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"idx1") - 300])
    cine = open_video(path)
    assert cine.frame_count == 19 and brightness(cine.read([18])) == [18]


def test_refuses_frames_of_several_sizes(tmp_path):
    path, other = tmp_path / "a.avi", tmp_path / "b.avi"
    write_video(path, numbered_frames(6, 64), 50)
    write_video(other, numbered_frames(6, 32), 50)
    small = other.read_bytes()
    start, end = small.index(b"\xff\xd8"), small.index(b"\xff\xd9") + 2
    content = bytearray(path.read_bytes())
    place = content.rindex(b"\xff\xd8", 0, content.index(b"idx1"))
    content[place : place + end - start] = small[start:end]
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=r"a.avi: expected frames of one size, found several"):
        open_video(path).read(range(6))


def test_names_a_damaged_file_of_predicted_frames(tmp_path):
    write_encoded(tmp_path / "a.mp4", numbered_frames(30, 64), "libx264", key_interval=30)
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    start = content.index(b"mdat") + 400
    content[start : start + 300] = bytes(300)
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UnusableFileError, match=r"a.mp4: expected whole frames, found .*; copy"):
        open_video(tmp_path / "a.mp4").read(range(30))


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
