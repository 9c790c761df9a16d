import pytest
import torch

from common.inferers import vote


def masks(*rows):
    return [torch.tensor(row) for row in rows]


def test_half_of_the_models_suffice():
    eight = torch.arange(9)[None] > torch.arange(8)[:, None]  # voxel n has n votes of 8
    assert vote(list(eight)).tolist() == [False] * 4 + [True] * 5
    assert vote(masks([1, 0, 1], [1, 1, 0], [0, 0, 1])).tolist() == [True, False, True]


def test_number_of_models_can_be_asked_for():
    assert vote(masks([1, 0], [1, 1]), at_least=2).tolist() == [True, False]
    assert vote(masks([1, 0], [1, 1]), at_least=1).tolist() == [True, True]


def test_one_model_is_followed():
    assert vote(masks([0, 1])).tolist() == [False, True]


def test_refuses_no_masks_and_impossible_numbers():
    with pytest.raises(ValueError, match="expected one or more, found none"):
        vote([])
    with pytest.raises(ValueError, match="expected 1 to 2 models, found 3"):
        vote(masks([1], [0]), at_least=3)
