"""Reading one clip of an echo video beside decoding the whole file."""

from functools import partial

import av
import numpy as np
import pytest
import torch

from common.echo import ReadClips, simulate_echo
from common.echo.clips import square_frames
from tests.benchmarks.clock import side_by_side

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A simulated video of EchoNet's median length."""
    folder = tmp_path_factory.mktemp("echonet")
    simulate_echo(folder, cases=1, frames=(175, 175))
    return next(folder.rglob("*.avi"))


def whole_file(path, start, frames, stride):
    with av.open(str(path)) as container:
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    return square_frames(pictures, 112)[:, start : start + frames * stride : stride]


@pytest.mark.parametrize(("frames", "stride"), [(36, 4), (12, 4)])
def test_read_clip(benchmark, video, frames, stride):
    read = ReadClips(frames=frames, stride=stride)
    found = benchmark(read, video, [20])
    expected = whole_file(video, 20, frames, stride)
    benchmark.extra_info |= side_by_side(
        partial(whole_file, video, 20, frames, stride), partial(read, video, [20]), rounds=20
    )
    assert torch.equal(found[0, :, : expected.shape[1]], expected)
