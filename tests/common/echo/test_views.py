import pytest
import torch

from common.echo import ClipInferer, NormalizeClip, NormalizeClipd, PrepareViews, RandPadCrop, RandPadCropd
from common.echo.views import ECHONET_MEAN, ECHONET_STD


def clips(views=2, frames=3, size=20):
    return torch.randint(1, 255, (views, 3, frames, size, size), generator=torch.Generator().manual_seed(0)).byte()


def test_shifts_all_frames_of_a_view_alike_and_each_view_on_its_own():
    shift = RandPadCrop(margin=6).set_random_state(3)
    before = clips()
    after = shift(before)
    assert after.shape == before.shape and shift.offsets[0] != shift.offsets[1]
    for view, (row, column) in enumerate(shift.offsets):
        down, right = 6 - row, 6 - column
        expected = torch.zeros_like(before[view])
        for y in range(20):
            for x in range(20):
                if 0 <= y - down < 20 and 0 <= x - right < 20:
                    expected[..., y, x] = before[view][..., y - down, x - right]
        assert torch.equal(after[view], expected)


def test_draws_every_offset_up_to_the_margin():
    shift = RandPadCrop(margin=2).set_random_state(0)
    drawn = set()
    for _ in range(300):
        shift(clips(1, 1, 4))
        drawn |= set(shift.offsets)
    assert drawn == {(row, column) for row in range(5) for column in range(5)}


def test_leaves_clips_alone_without_margin_or_chance():
    before = clips()
    assert torch.equal(RandPadCrop(margin=0)(before), before)
    assert torch.equal(RandPadCropd("image", prob=0.0)({"image": before})["image"], before)


def test_repeats_for_a_seed():
    first, second = (RandPadCropd("image").set_random_state(5)({"image": clips()})["image"] for _ in range(2))
    assert torch.equal(first, second)


def test_normalises_each_channel_and_black_before_all():
    black = NormalizeClip()(torch.zeros(2, 3, 4, 5, 5, dtype=torch.uint8))
    for channel in range(3):
        expected = -ECHONET_MEAN[channel] / ECHONET_STD[channel]
        torch.testing.assert_close(black[:, channel], torch.full((2, 4, 5, 5), expected))
    one = NormalizeClipd("image", mean=40.944, std=54.724)({"image": torch.full((3, 2, 4, 4), 95.668)})["image"]
    torch.testing.assert_close(one, torch.ones(3, 2, 4, 4))


def test_names_what_does_not_fit():
    with pytest.raises(ValueError, match="margin: expected pixels, not negative, found -1"):
        RandPadCrop(margin=-1)
    with pytest.raises(ValueError, match="std: expected positive numbers, found 0"):
        NormalizeClip(std=0)


class Mean(torch.nn.Module):
    """Returns the mean of each clip, and remembers how many it got at once."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, clips):
        self.seen.append(len(clips))
        return clips.mean((1, 2, 3, 4))[:, None]


def batch():
    clips = torch.arange(6.0).reshape(3, 2, 1, 1, 1, 1).expand(3, 2, 3, 2, 4, 4)
    return {"image": clips, "label": torch.tensor([20.0, 40.0, 60.0], dtype=torch.float64)}


def test_puts_all_first_views_before_all_second_ones():
    clips, labels = PrepareViews()(batch(), torch.device("cpu"))
    assert clips.shape == (6, 3, 2, 4, 4)
    assert clips[:, 0, 0, 0, 0].tolist() == [0, 2, 4, 1, 3, 5]
    assert labels.shape == (6, 1) and labels.dtype == torch.float32
    assert labels.flatten().tolist() == [20, 40, 60, 20, 40, 60]


@pytest.mark.parametrize(("at_once", "seen"), [(0, [6]), (4, [4, 2]), (1, [1] * 6)])
def test_gives_one_number_a_clip_whatever_the_chunks(at_once, seen):
    network = Mean()
    found = ClipInferer(at_once)(batch()["image"], network)
    assert found.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert network.seen == seen


def test_computes_in_bfloat16_when_asked_and_answers_in_float32():
    class Product(torch.nn.Module):
        """A matrix product, which autocast does in bfloat16: 257 needs nine bits."""

        def forward(self, clips):
            return clips.flatten(1)[:, :1] @ torch.ones(1, 1)

    clips = torch.full((1, 2, 1, 1, 1, 1), 257.0)
    assert ClipInferer()(clips, Product()).tolist() == [[257, 257]]
    found = ClipInferer(precision="bfloat16")(clips, Product())
    assert found.tolist() == [[256, 256]] and found.dtype == torch.float32


def test_takes_the_prediction_of_a_network_that_gives_features_too():
    network = Mean()
    found = ClipInferer()(batch()["image"], lambda clips: (network(clips), clips))
    assert found.shape == (3, 2)
    with pytest.raises(ValueError, match="clips_at_once: expected a number of clips, not negative, found -1"):
        ClipInferer(-1)
