import math

import pytest
import torch

from common.losses import ElastographyLoss
from common.metrics import ElastographyRow, MeanOf, end_point_row


def test_end_point_row_is_the_mean_absolute_error_by_direction():
    pred, flow = torch.zeros(4, 2, 2), torch.zeros(2, 2, 2)
    flow[0], flow[1, 0, 0] = -3, 8
    row = end_point_row({"case": "a", "flow": flow}, {"pred": pred})
    assert row == {"case": "a", "lateral_error": 3.0, "axial_error": 2.0}


def test_elastography_row_holds_the_terms_of_the_loss():
    generator = torch.Generator().manual_seed(0)
    image, pred = torch.rand(6, 8, 8, generator=generator), 0.3 * torch.randn(4, 8, 8, generator=generator)
    loss = ElastographyLoss(axial_weight=0.9)
    terms = loss.terms(pred[None], image[None])
    row = ElastographyRow(loss)({"case": "a", "image": image}, {"pred": pred})
    assert row["data_term"] == pytest.approx(float(terms.data))
    assert row["loss"] == pytest.approx(float(terms.data + terms.first_order + terms.second_order))
    assert row["reliable_share"] == pytest.approx(float(terms.reliable_share))


def test_mean_of_a_column():
    assert MeanOf("a")([{"a": 1.0}, {"a": 4.0}]) == 2.5
    assert math.isnan(MeanOf("a")([]))
