import pytest
import torch

from common.rf import ElastographyLoss, charbonnier, reliable_pixels


def random_case(height=7, width=5, channels=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    forward = 0.2 * torch.randn(1, 2, height, width, dtype=torch.float64, generator=generator)
    image = torch.rand(1, 2 * channels, height, width, dtype=torch.float64, generator=generator)
    backward = -forward + 0.7 * torch.randn(1, 2, height, width, dtype=torch.float64, generator=generator)
    return torch.cat([forward, backward], 1), image


def bilinear(image, y, x):
    """Value at one position, coordinates held within the image."""
    height, width = image.shape
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    i, j = min(int(y), height - 2), min(int(x), width - 2)
    a, b = y - i, x - j
    return (1 - a) * ((1 - b) * image[i, j] + b * image[i, j + 1]) + a * (
        (1 - b) * image[i + 1, j] + b * image[i + 1, j + 1]
    )


def by_definition(flows, image, weights, epsilon=0.01, gamma=0.2, alpha=1.0):
    """Eq. 2 to 7 pixel by pixel."""
    phi = lambda x: (x * x + epsilon) ** gamma  # noqa: E731
    flows, image = flows[0].numpy(), image[0].numpy()
    channels, (height, width) = image.shape[0] // 2, image.shape[1:]
    pixels = [(i, j) for i in range(height) for j in range(width)]
    good = {(i, j) for i, j in pixels if ((flows[:2, i, j] + flows[2:, i, j]) ** 2).sum() ** 0.5 < alpha}
    data = [
        phi(image[c, i, j] - bilinear(image[channels + c], i + flows[1, i, j], j + flows[0, i, j]))
        for i, j in good
        for c in range(channels)
    ]
    axial = flows[1]
    along = [axial[i + 1, j] - axial[i, j] for i, j in pixels if {(i, j), (i + 1, j)} <= good]
    across = [axial[i, j + 1] - axial[i, j] for i, j in pixels if {(i, j), (i, j + 1)} <= good]
    bend = [
        axial[i + 2, j] - 2 * axial[i + 1, j] + axial[i, j]
        for i, j in pixels
        if {(i, j), (i + 1, j), (i + 2, j)} <= good
    ]
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    total = mean(data) + weights[2] * mean([phi(x) for x in bend])
    total += weights[0] * mean([phi(x - mean(along)) for x in along])
    return total + weights[1] * mean([phi(x - mean(across)) for x in across]), len(good) / len(pixels)


@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_equations_pixel_by_pixel(seed):
    flows, image = random_case(seed=seed)
    expected, share = by_definition(flows, image, (0.5, 0.005, 0.2))
    loss = ElastographyLoss(least_reliable=0.0)
    assert 0.2 < share < 0.95
    assert float(loss(flows, image)) == pytest.approx(expected, rel=1e-9)
    assert float(loss.last_terms.reliable_share) == pytest.approx(share)


def test_every_weight_and_constant_counts():
    flows, image = random_case(seed=2)
    settings = {"axial_weight": 0.3, "lateral_weight": 0.7, "curvature_weight": 0.9, "epsilon": 0.05, "exponent": 0.4}
    expected, _ = by_definition(flows, image, (0.3, 0.7, 0.9), 0.05, 0.4, 1.3)
    loss = ElastographyLoss(**settings, tolerance_pixels=1.3, least_reliable=0.0)
    assert float(loss(flows, image)) == pytest.approx(expected, rel=1e-9)


def test_charbonnier_by_hand():
    assert float(charbonnier(torch.tensor(3.0), epsilon=7.0, exponent=0.5)) == pytest.approx(4.0)


def affine_pair(strain=0.04, height=120):
    """Exact forward and backward displacement of a uniform compression, pixels."""
    depth = torch.arange(float(height)).reshape(1, 1, -1, 1).expand(1, 1, height, 4)
    zero = torch.zeros_like(depth)
    return torch.cat([zero, -strain * depth], 1), torch.cat([zero, strain / (1 - strain) * depth], 1)


def test_uniform_strain_costs_the_least_smoothness():
    forward, backward = affine_pair(0.005)
    image = torch.zeros(1, 2, 120, 4)
    terms = ElastographyLoss(epsilon=1e-4).terms(torch.cat([forward, backward], 1), image)
    least = (1e-4) ** 0.2
    torch.testing.assert_close(terms.first_order, torch.tensor([(0.5 + 0.005) * least]), rtol=1e-3, atol=0)
    torch.testing.assert_close(terms.second_order, torch.tensor([0.2 * least]), rtol=1e-3, atol=0)


def test_printed_mask_loses_exact_fields_at_large_strain_and_the_warped_one_keeps_them():
    forward, backward = affine_pair(strain=0.1, height=200)
    printed = reliable_pixels(forward, backward)
    # Their sum at a depth y is strain^2 / (1 - strain) y = .0111 y: 1 pixel at y = 90.
    assert printed[0, 0, :, 0].sum() == pytest.approx(90, abs=1)
    assert reliable_pixels(forward, backward, warp_backward=True)[:, :, 20:180].all()


def test_mask_sees_a_lateral_gap_too():
    forward, backward = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    backward[0, 0, 0, 1] = 1.5
    assert reliable_pixels(forward, backward).flatten().tolist() == [1, 0, 1, 1]


def test_skips_pairs_with_less_than_half_reliable_pixels():
    flows, image = random_case(seed=3)
    broken = flows.clone()
    broken[:, 3] += 50
    loss = ElastographyLoss()
    alone = loss(flows.clone(), image)
    assert float(loss.last_terms.reliable_share) >= 0.5
    both = loss(torch.cat([flows, broken]), torch.cat([image, image]))
    assert torch.allclose(both, alone)
    none = broken.requires_grad_()
    value = loss(none, image)
    value.backward()
    assert float(value.detach()) == 0 and not none.grad.any()


def test_backward_displacement_gets_no_gradient():
    flows, image = random_case(seed=3)
    flows.requires_grad_()
    ElastographyLoss()(flows, image).backward()
    assert flows.grad[:, 1].any() and not flows.grad[:, 2:].any()


def test_gradient():
    flows, image = random_case(seed=3)
    forward = flows[:, :2].clone().requires_grad_()
    loss = ElastographyLoss(tolerance_pixels=50.0)
    assert torch.autograd.gradcheck(lambda f: loss(torch.cat([f, flows[:, 2:]], 1), image), (forward,))


def test_true_displacement_costs_less_than_none():
    generator = torch.Generator().manual_seed(5)
    first = torch.rand(1, 1, 40, 10, generator=generator)
    image = torch.cat([first, torch.roll(first, 3, 2)], 1)
    still, true = torch.zeros(1, 4, 40, 10), torch.zeros(1, 4, 40, 10)
    true[:, 1], true[:, 3] = 3, -3
    loss = ElastographyLoss()
    assert float(loss(true, image)) < float(loss(still, image))


def test_refuses_other_numbers_of_channels():
    with pytest.raises(ValueError, match="found 2 and 6"):
        ElastographyLoss()(torch.zeros(1, 2, 4, 4), torch.zeros(1, 6, 4, 4))


def test_refuses_an_epsilon_of_zero():
    with pytest.raises(ValueError, match="found 0"):
        ElastographyLoss(epsilon=0)
