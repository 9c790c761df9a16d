"""Velocity fields: what they integrate to, and that they lead one phase to the other."""

import math

import numpy as np
import torch

from common.cine.phantoms.pair_motion import exponential, pixel_places, sample, velocity_between


def discs(*radii, size=64):
    y, x = np.mgrid[:size, :size]
    masks = np.stack([np.hypot(y - 30, x - 34) < radius for radius in radii])[:, None]
    # A wall of 6 pixels around the cavity, and something beside it that stays.
    walls = np.stack([np.hypot(y - 30, x - 34) < radius + 6 for radius in radii])[:, None]
    beside = (x < 8)[None, None]
    return (masks + 0.3 * walls + 0.6 * beside).astype(np.float32), masks


def test_a_constant_velocity_is_a_shift():
    velocity = torch.tensor([2.5, -1.25])[None, :, None, None].expand(1, 2, 20, 24)
    torch.testing.assert_close(exponential(velocity), velocity)


def test_a_linear_velocity_shrinks_by_the_exponential_of_its_slope():
    places = pixel_places((41, 41)) - 20.0
    displaced = places + exponential(-0.3 * places[None])[0]
    inner = (slice(None), slice(10, 31), slice(10, 31))
    torch.testing.assert_close(displaced[inner], (math.exp(-0.3) * places)[inner], atol=2e-3, rtol=1e-3)


def test_sampling_at_the_pixels_gives_the_image_and_between_them_the_mean():
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    places = pixel_places((3, 4))[None]
    torch.testing.assert_close(sample(image, places), image)
    half = sample(image, torch.tensor([0.5, 1.0]).reshape(1, 2, 1, 1))
    assert float(half) == 0.5 * (1.0 + 5.0), "row 0.5, column 1"


def test_the_velocity_leads_the_cavity_of_one_phase_to_that_of_the_other():
    images, masks = discs(16, 10)
    velocity = velocity_between(images, masks)
    places = pixel_places((64, 64))
    there = exponential(velocity)
    back = exponential(-velocity)
    led = sample(torch.from_numpy(masks[1]).float()[:, None], places + there)[:, 0].numpy() > 0.5
    dice = 2 * (led & masks[0]).sum() / (led.sum() + masks[0].sum())
    assert dice > 0.96
    # Halfway the radius is the geometric mean of both: the motion is an exponential.
    half = sample(torch.from_numpy(masks[0]).float()[:, None], places + exponential(-0.5 * velocity))
    radius = math.sqrt(int((half > 0.5).sum()) / math.pi)
    assert abs(radius - math.sqrt(16 * 10)) < 0.7
    returned = back + sample(there, places + back)
    assert float(returned[:, :, 8:-8, 8:-8].abs().max()) < 0.3, "the way back undoes the way there"
