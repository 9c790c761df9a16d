import pytest
import torch

from common.echo import PredictionLoss, RepresentationRegressionLoss, rank_n_contrast_loss


def outputs_and_labels():
    generator = torch.Generator().manual_seed(2)
    labels = torch.tensor([20.0, 35.0, 50.0, 65.0])
    return (labels[:, None] + 3, torch.randn(4, 6, generator=generator)), labels


def test_adds_the_contrast_of_features_to_the_distance_of_predictions():
    (predictions, features), labels = outputs_and_labels()
    found = RepresentationRegressionLoss(contrast_weight=2.0)((predictions, features), labels)
    assert found.item() == pytest.approx(3 + 2 * rank_n_contrast_loss(features, labels).item())


def test_without_contrast_is_the_mean_absolute_error():
    outputs, labels = outputs_and_labels()
    assert RepresentationRegressionLoss(contrast_weight=0)(outputs, labels[:, None]).item() == pytest.approx(3)


def test_with_one_optimizer_steps_as_with_the_papers_two():
    """The encoder's gradient comes from the contrast alone, the head's from the L1 alone: one AdamW does for both."""
    ends = []
    for separate in (True, False):
        torch.manual_seed(0)
        encoder, head = torch.nn.Linear(5, 4), torch.nn.Linear(4, 1)
        groups = [list(encoder.parameters()), list(head.parameters())]
        optimizers = [torch.optim.AdamW(g, 1e-2) for g in (groups if separate else [groups[0] + groups[1]])]
        images, labels = torch.randn(8, 5), torch.arange(8.0)
        for _ in range(3):
            features = encoder(images)
            predictions = head(features.detach())
            for optimizer in optimizers:
                optimizer.zero_grad()
            if separate:
                rank_n_contrast_loss(features, labels).backward()
                optimizers[0].step()
                torch.nn.functional.l1_loss(predictions.flatten(), labels).backward()
                optimizers[1].step()
            else:
                RepresentationRegressionLoss()((predictions, features), labels).backward()
                optimizers[0].step()
        ends.append([*encoder.state_dict().values(), *head.state_dict().values()])
    for first, second in zip(*ends, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_refuses_a_negative_weight():
    with pytest.raises(ValueError, match="contrast_weight: expected a number of at least 0, found -1"):
        RepresentationRegressionLoss(contrast_weight=-1)


def test_takes_the_predictions_alone():
    outputs, labels = outputs_and_labels()
    assert PredictionLoss(torch.nn.MSELoss())(outputs, labels[:, None]).item() == pytest.approx(9)
