import math

import pytest
import torch

from common.rf import ElastographyLoss, ElastographyRow, MeanOf, end_point_row


def test_end_point_row_is_the_mean_absolute_error_by_direction():
    pred, flow = torch.zeros(4, 4, 2), torch.zeros(2, 4, 2)
    flow[0], flow[1, 0, 0] = -3, 8
    row = end_point_row({"case": "a", "flow": flow}, {"pred": pred})
    assert (row["case"], row["lateral_error"], row["axial_error"]) == ("a", 3.0, 1.0)


@pytest.mark.parametrize("rows", [6, 7, 120])
def test_strain_error_ignores_an_offset_and_is_the_slopes_in_percent(rows):
    flow = torch.zeros(2, rows, 3)
    flow[1] = 0.02 * torch.arange(rows)[:, None]
    for offset, slope, expected in ((5.0, 0.02, 0.0), (0.0, 0.03, 1.0), (-1.0, 0.005, 1.5)):
        pred = torch.zeros(4, rows, 3)
        pred[1] = offset + slope * torch.arange(rows)[:, None]
        row = end_point_row({"case": "a", "flow": flow}, {"pred": pred})
        assert row["strain_error"] == pytest.approx(expected, abs=1e-4)


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
