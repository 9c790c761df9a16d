import pytest
import torch

from common.rf import ElastographyLoss, EndPointLoss, charbonnier, end_point_loss, reliable_pixels, slope_loss


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


def by_definition(displacements, image, weights, epsilon=0.01, gamma=0.2, alpha=1.0):
    """Eq. 2 to 7 pixel by pixel."""
    phi = lambda x: (x * x + epsilon) ** gamma  # noqa: E731
    displacements, image = displacements[0].numpy(), image[0].numpy()
    channels, (height, width) = image.shape[0] // 2, image.shape[1:]
    pixels = [(i, j) for i in range(height) for j in range(width)]
    good = {
        (i, j) for i, j in pixels if ((displacements[:2, i, j] + displacements[2:, i, j]) ** 2).sum() ** 0.5 < alpha
    }
    data = [
        phi(image[c, i, j] - bilinear(image[channels + c], i + displacements[1, i, j], j + displacements[0, i, j]))
        for i, j in good
        for c in range(channels)
    ]
    axial = displacements[1]
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
    displacements, image = random_case(seed=seed)
    expected, fraction = by_definition(displacements, image, (0.5, 0.005, 0.2))
    loss = ElastographyLoss(least_reliable=0.0)
    assert 0.2 < fraction < 0.95
    assert float(loss(displacements, image)) == pytest.approx(expected, rel=1e-9)
    assert float(loss.last_terms.reliable_fraction) == pytest.approx(fraction)


def test_every_weight_and_constant_counts():
    displacements, image = random_case(seed=2)
    settings = {"axial_weight": 0.3, "lateral_weight": 0.7, "curvature_weight": 0.9, "epsilon": 0.05, "exponent": 0.4}
    expected, _ = by_definition(displacements, image, (0.3, 0.7, 0.9), 0.05, 0.4, 1.3)
    loss = ElastographyLoss(**settings, tolerance_pixels=1.3, least_reliable=0.0)
    assert float(loss(displacements, image)) == pytest.approx(expected, rel=1e-9)


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
    displacements, image = random_case(seed=3)
    broken = displacements.clone()
    broken[:, 3] += 50
    loss = ElastographyLoss()
    alone = loss(displacements.clone(), image)
    assert float(loss.last_terms.reliable_fraction) >= 0.5
    both = loss(torch.cat([displacements, broken]), torch.cat([image, image]))
    assert torch.allclose(both, alone)
    none = broken.requires_grad_()
    value = loss(none, image)
    value.backward()
    assert float(value.detach()) == 0 and not none.grad.any()


def test_backward_displacement_gets_no_gradient():
    displacements, image = random_case(seed=3)
    displacements.requires_grad_()
    ElastographyLoss()(displacements, image).backward()
    assert displacements.grad[:, 1].any() and not displacements.grad[:, 2:].any()


def test_gradient():
    displacements, image = random_case(seed=3)
    forward = displacements[:, :2].clone().requires_grad_()
    loss = ElastographyLoss(tolerance_pixels=50.0)
    assert torch.autograd.gradcheck(lambda f: loss(torch.cat([f, displacements[:, 2:]], 1), image), (forward,))


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


def test_is_the_distance_by_hand():
    displacement, target = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    target[0, :, 0, 0] = torch.tensor([3.0, 4.0])  # distance 5 at one of four pixels
    assert float(end_point_loss([displacement], target, [1.0])) == pytest.approx(5 / 4, abs=1e-3)


def test_levels_are_compared_with_local_means_of_the_target():
    target = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 2, 4, 4)
    displacement = torch.tensor([[2.5, 4.5], [10.5, 12.5]]).reshape(1, 1, 2, 2).expand(1, 2, 2, 2)
    assert float(end_point_loss([displacement], target, [7.0])) == pytest.approx(0, abs=1e-2)


def test_levels_are_weighted():
    target = torch.zeros(1, 2, 4, 4)
    displacements = [torch.full((1, 2, 2, 2), 1.0), torch.full((1, 2, 4, 4), 2.0)]
    assert float(end_point_loss(displacements, target, [0.5, 3.0])) == pytest.approx(
        2**0.5 * (0.5 * 1 + 3 * 2), rel=1e-5
    )


def test_module_takes_one_flow_as_the_finest_level():
    torch.manual_seed(0)
    displacement, target = torch.randn(2, 2, 2, 4, 4)
    assert torch.equal(EndPointLoss()(displacement, target), end_point_loss([displacement], target, [1.0]))


def test_gradient_of_the_end_point_loss():
    torch.manual_seed(0)
    displacement = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randn(1, 2, 4, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: end_point_loss([f], target, [2.0]), (displacement,))


def test_refuses_another_number_of_weights():
    with pytest.raises(ValueError, match=r"one a level \(1\), found 2"):
        end_point_loss([torch.zeros(1, 2, 2, 2)], torch.zeros(1, 2, 4, 4), [1.0, 1.0])


def test_slope_loss_by_hand():
    # Full grid of 8 rows, displacement of 4: axial errors of 0, 1, 1, 5 pixels change by 1 and 4 over 2 rows.
    displacement = torch.zeros(1, 2, 4, 1)
    displacement[0, 1, :, 0] = torch.tensor([0.0, 1.0, 1.0, 5.0])
    displacement[0, 0] = 7
    assert float(slope_loss(displacement, torch.zeros(1, 2, 8, 2), rows=2)) == pytest.approx((1 + 4) / 2 / 4)


def test_slope_loss_ignores_a_constant_error():
    target = torch.randn(1, 2, 16, 4, generator=torch.Generator().manual_seed(0))
    assert float(slope_loss(target + 3, target, rows=4)) == pytest.approx(0, abs=1e-6)


def test_module_adds_the_weighted_slope_of_the_finest_level():
    generator = torch.Generator().manual_seed(1)
    target = torch.randn(1, 2, 16, 4, generator=generator)
    displacements = [torch.randn(1, 2, 4, 1, generator=generator), torch.randn(1, 2, 8, 2, generator=generator)]
    expected = end_point_loss(displacements, target, [0.3, 0.7]) + 5 * slope_loss(displacements[-1], target, 3)
    assert torch.allclose(EndPointLoss([0.3, 0.7], slope_weight=5.0, slope_rows=3)(displacements, target), expected)
