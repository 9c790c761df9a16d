import pytest
import torch

from common.adc import CarveMix, CarveMixPrepareBatch


def batch():
    """Two slices of constant 10 and 20, the second with a lesion of 3 x 3 pixels."""
    images = torch.tensor([10.0, 20.0]).reshape(2, 1, 1, 1).repeat(1, 2, 12, 12)
    labels = torch.zeros(2, 1, 12, 12)
    labels[1, :, 4:7, 5:8] = 1
    return images, labels


def mixed(probability=1.0, seeds=range(12)):
    return [CarveMix(probability, seed)(*batch()) for seed in seeds]


def test_lesion_comes_with_its_pixels_and_its_annotation():
    received = 0
    for images, labels in mixed():
        carved = images[0] == 20.0
        assert torch.equal(carved[:1] & (labels[0] > 0), labels[0] > 0)  # annotated pixels are the donor's
        assert torch.equal(carved[0], carved[1])  # both maps are carved alike
        received += bool(labels[0].any())
    assert 0 < received < 12


def test_region_is_sometimes_part_of_the_lesion_and_sometimes_more():
    sizes = {int((images[0, 0] == 20.0).sum()) for images, _ in mixed(seeds=range(40))}
    assert min(sizes - {0}) <= 9 < max(sizes)


def test_donor_without_lesion_changes_nothing():
    for images, labels in mixed():
        assert bool((images[1] == 20.0).all())
        assert torch.equal(labels[1], batch()[1][1])


def test_probability_zero_leaves_the_batch():
    images, labels = CarveMix(0.0)(*batch())
    assert torch.equal(images, batch()[0]) and torch.equal(labels, batch()[1])


def test_arguments_are_left_as_they_were():
    images, labels = batch()
    CarveMix(1.0, 1)(images, labels)
    assert torch.equal(images, batch()[0]) and torch.equal(labels, batch()[1])


def test_without_seed_the_draws_follow_torchs_generator():
    drawn = []
    for _ in range(2):
        torch.manual_seed(4)
        mix = CarveMix(1.0)
        drawn.append([mix(*batch())[0] for _ in range(6)])
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
    assert any(not torch.equal(drawn[0][0], other) for other in drawn[0][1:])


def test_engine_gets_the_mixed_batch():
    images, labels = batch()
    prepared = CarveMixPrepareBatch(1.0, 3)({"image": images, "label": labels}, device="cpu")
    expected = CarveMix(1.0, 3)(images, labels)
    assert all(torch.equal(a, b) for a, b in zip(prepared, expected, strict=True))


def test_refuses_a_probability_outside_its_range():
    with pytest.raises(ValueError, match=r"fraction in \[0, 1\], found 1.5"):
        CarveMix(1.5)
