import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_surface_dice
from scipy.ndimage import gaussian_filter

from common.adc import dice_score, surface_scores
from tests.golden_recipe import noise_image

# Masks by recipe, scores of the challenge's reference implementation in double precision.
GOLDEN = [
    ((12, 64, 64), (2.2, 0.7031, 0.7031), 61, 0.03, (1475, 1770), 0.8600294394007797, 0.9144042981534548, 0.35439137),
    ((20, 40, 48), (3.0, 1.0, 1.0), 62, 0.1, (3840, 4608), 0.9589089369833594, 0.9103718492739735, 0.42471591),
]


def blob(shape, seed, fraction):
    smooth = gaussian_filter(noise_image(shape, seed), 2.0)
    return smooth > np.quantile(smooth, 1 - fraction)


def pair(shape, seed, fraction):
    return blob(shape, seed, fraction), np.roll(blob(shape, seed, fraction * 1.2), (0, 2, 1), (0, 1, 2))


@pytest.mark.parametrize(("shape", "spacing", "seed", "fraction", "voxels", "masd", "nsd", "dice"), GOLDEN)
def test_equals_the_reference_implementation(shape, spacing, seed, fraction, voxels, masd, nsd, dice):
    first, second = pair(shape, seed, fraction)
    assert (first.sum(), second.sum()) == voxels
    scores = surface_scores(first, second, spacing, tolerance_mm=2.0)
    assert scores.masd_mm == pytest.approx(masd, abs=1e-6)
    assert scores.nsd == pytest.approx(nsd, abs=1e-6)
    assert dice_score(first, second) == pytest.approx(dice, abs=1e-7)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI 1.6 against itself
def test_nsd_equals_monais_with_subvoxels():
    first, second = pair((10, 32, 40), 7, 0.06)
    as_batch = [torch.from_numpy(np.stack([~m, m])[None].astype(np.float32)) for m in (first, second)]
    monai = compute_surface_dice(*as_batch, [1.5], spacing=(2.2, 0.8, 1.0), use_subvoxels=True)
    assert surface_scores(first, second, (2.2, 0.8, 1.0), 1.5).nsd == pytest.approx(float(monai), abs=1e-6)


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_does_not_depend_on_the_order_of_axes_nor_of_masks(order):
    first, second = pair((10, 20, 24), 8, 0.1)
    spacing = (2.5, 0.7, 1.1)
    expected = surface_scores(first, second, spacing)
    turned = surface_scores(second.transpose(order), first.transpose(order), [spacing[axis] for axis in order])
    np.testing.assert_allclose(turned, expected, rtol=1e-6)


def test_distance_grows_with_the_spacing():
    first, second = pair((10, 20, 24), 9, 0.1)
    near = surface_scores(first, second, (2.0, 1.0, 1.0), 2.0)
    far = surface_scores(first, second, (6.0, 3.0, 3.0), 6.0)
    assert far.masd_mm == pytest.approx(3 * near.masd_mm) and far.nsd == pytest.approx(near.nsd)


def test_shifted_plate_is_as_far_as_its_shift():
    first = np.zeros((20, 60, 60), bool)
    first[5, 2:58, 2:58] = True  # edges hardly count in a wide plate
    second = np.roll(first, 4, axis=0)
    scores = surface_scores(first, second, (1.5, 1.0, 1.0))
    assert scores.masd_mm == pytest.approx(1.5 * 3.5, rel=0.05)  # one face 4, the other 3 voxels away
    assert scores.nsd < 0.05


@pytest.mark.parametrize("shape", [(1, 9, 9), (9, 9, 1), (6, 7, 8)])
def test_equal_masks_agree_also_at_the_border_and_in_one_slice(shape):
    mask = np.zeros(shape, bool)
    mask[..., :1] = True
    mask[:3] = True
    assert surface_scores(mask, mask, (1, 2, 3)) == (0.0, 1.0)


def test_one_voxel_against_its_neighbour():
    first = np.zeros((4, 4, 4), bool)
    second = first.copy()
    first[1, 1, 1] = second[1, 1, 2] = True
    # Eight corners of equal area each; four are shared, four are one voxel (0.8 mm) away.
    scores = surface_scores(first, second, (2.0, 2.0, 0.8), tolerance_mm=0.5)
    assert scores.masd_mm == pytest.approx(0.4) and scores.nsd == pytest.approx(0.5)


def test_empty_masks_follow_the_challenges_rules():
    empty, full = np.zeros((3, 4, 5)), np.ones((3, 4, 5))
    assert surface_scores(empty, empty, (1, 1, 1)) == (0.0, 1.0)
    for one_empty in (surface_scores(empty, full, (1, 1, 1)), surface_scores(full, empty, (1, 1, 1))):
        assert math.isnan(one_empty.masd_mm) and one_empty.nsd == 0.0


def test_refuses_other_shapes_and_spacings():
    with pytest.raises(ValueError, match=r"one 3D shape, found \(2, 2, 2\) and \(2, 2, 3\)"):
        surface_scores(np.ones((2, 2, 2)), np.ones((2, 2, 3)), (1, 1, 1))
    with pytest.raises(ValueError, match="three positive sizes, found"):
        surface_scores(np.ones((2, 2, 2)), np.ones((2, 2, 2)), (1, 1))
