import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.adc import region_of_interest, sample_reach_fraction
from tests.golden_recipe import noise_image


def blob(shape, seed, fraction):
    smooth = gaussian_filter(noise_image(shape, seed), 2.0)
    return smooth > np.quantile(smooth, 1 - fraction)


def signed_distance(lesion):
    """The definition as loops: distance to the nearest pixel of the other kind, negative for lesion pixels."""
    distance = np.zeros(lesion.shape)
    for pixel in np.ndindex(lesion.shape):
        others = np.argwhere(lesion != lesion[pixel])
        distance[pixel] = np.sqrt(((others - pixel) ** 2).sum(axis=1).min()) * (-1 if lesion[pixel] else 1)
    return distance


# Pixels with a distance of at most l |Dmin| (Dmin = -3), as the authors' code of CarveMix counts them.
@pytest.mark.parametrize(("fraction", "pixels"), [(-0.5, 33), (-0.25, 185), (0.3, 185), (1.0, 801)])
def test_has_the_size_that_the_published_code_gives(fraction, pixels):
    lesion = blob((48, 48), 71, 0.08)
    assert lesion.sum() == 185
    assert region_of_interest(lesion, fraction).sum() == pixels


@pytest.mark.parametrize("fraction", [-0.5, -0.3, 0.0, 0.45, 1.0])
@pytest.mark.parametrize("shape", [(14, 20), (6, 9, 7)], ids=["slice", "volume"])
def test_holds_the_pixels_up_to_the_reach_by_definition(shape, fraction):
    lesion = np.roll(blob(shape, 5, 0.2), 3, axis=1)  # touches the border
    distance = signed_distance(lesion)
    expected = distance <= fraction * abs(distance.min())
    np.testing.assert_array_equal(region_of_interest(lesion, fraction), expected)


@pytest.mark.parametrize("flip", [(0,), (1,), (0, 1)])
def test_flips_with_its_mask(flip):
    lesion = blob((30, 24), 6, 0.1)
    flipped = region_of_interest(np.flip(lesion, flip), 0.7)
    np.testing.assert_array_equal(flipped, np.flip(region_of_interest(lesion, 0.7), flip))


@pytest.mark.parametrize("fraction", [-0.5, 1.0])
def test_is_empty_without_lesion_and_full_when_all_is_lesion(fraction):
    assert not region_of_interest(np.zeros((5, 6)), fraction).any()
    assert region_of_interest(np.ones((5, 6)), fraction).all()


def test_of_one_pixel_is_the_pixel_or_it_with_its_neighbours():
    lesion = np.zeros((5, 5))
    lesion[2, 3] = 1
    np.testing.assert_array_equal(region_of_interest(lesion, -0.5), lesion > 0)
    assert region_of_interest(lesion, 1.0).sum() == 5


def test_reach_is_drawn_half_from_inside_and_half_from_outside():
    random = np.random.RandomState(0)
    draws = np.array([sample_reach_fraction(random) for _ in range(4000)])
    inside, outside = draws[draws < 0], draws[draws >= 0]
    assert abs(inside.size / draws.size - 0.5) < 0.03
    assert inside.min() >= -0.5 and abs(inside.mean() + 0.25) < 0.02
    assert outside.max() <= 1.0 and abs(outside.mean() - 0.5) < 0.03
