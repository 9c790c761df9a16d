import pytest
import torch

from common.echo import ClipInferer, PrepareViews


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
