import json

import pytest
import torch
from torch import nn

from common.adc import FlippedSliceInferer, VotingInferer, vote
from common.training import save_state


class Shift(nn.Module):
    """Adds its only weight to the first channel."""

    def __init__(self, by=0.0):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, image):
        return image[:, :1] + self.by


def keep(folder, by, threshold):
    save_state(Shift(by), folder / "model.pt")
    (folder / "threshold.json").write_text(json.dumps({"threshold": threshold}))
    return folder


def test_gives_the_share_of_the_models_that_agree():
    eight = torch.arange(9)[None] > torch.arange(8)[:, None]  # voxel n has n votes of 8
    assert vote(list(eight)).tolist() == [n / 8 for n in range(9)]
    assert (vote(list(eight)) >= 0.5).tolist() == [False] * 4 + [True] * 5
    with pytest.raises(ValueError, match="expected one or more, found none"):
        vote([])


@torch.inference_mode()
def test_each_model_votes_at_its_own_threshold(tmp_path):
    single = FlippedSliceInferer((32, 32))
    settings = {"a": (0.0, 0.5), "b": (1.0, 0.9), "c": (-0.5, 0.2)}
    folders = [keep(tmp_path / name, *values) for name, values in settings.items()]
    torch.manual_seed(0)
    volume = torch.randn(1, 2, 32, 32, 3)
    share = VotingInferer(single, folders)(volume, Shift(9.0))
    expected = torch.stack([single(volume, Shift(by)) >= threshold for by, threshold in settings.values()])
    torch.testing.assert_close(share, expected.float().mean(dim=0))
    assert {0.0, 1.0} < set(share.unique().tolist())


def test_missing_models_are_named(tmp_path):
    single, volume = FlippedSliceInferer((32, 32)), torch.zeros(1, 2, 32, 32, 1)
    with pytest.raises(ValueError, match="model_dirs: expected one folder a model, found none"):
        VotingInferer(single, [])(volume, Shift())
    with pytest.raises(FileNotFoundError, match=r"nothing/model.pt: expected trained weights"):
        VotingInferer(single, [tmp_path / "nothing"])(volume, Shift())
