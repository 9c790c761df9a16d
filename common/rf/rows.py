"""One row a frame pair while a displacement network trains, and the means of rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .loss import ElastographyLoss
from .strain import least_squares_slope

Row = dict[str, Any]

# The window that the paper's group uses on phantoms.
_STRAIN_ROWS = 43


def end_point_row(item: Mapping[str, Any], output: Mapping[str, Any]) -> Row:
    """Return the mean absolute errors of `pred` against the exact `flow`: lateral (lines), axial (samples), strain (%).

    The strain is the least-squares slope of the axial displacement over 43 rows, fewer where there are not as many. It
    is what the displacement is for, and not its smallest error: a constant offset costs it nothing, a ripple much.
    """
    error = output["pred"][:2].float() - item["flow"].to(output["pred"].device)
    lateral, axial = error.abs().mean((1, 2)).tolist()
    rows = error.shape[1]
    strain = least_squares_slope(error[1], min(_STRAIN_ROWS, rows - 1 + rows % 2), dim=0).abs().mean()
    return {
        "case": str(item["case"]),
        "lateral_error": lateral,
        "axial_error": axial,
        "strain_error": 100 * float(strain),
    }


class ElastographyRow:
    """The unsupervised loss of one pair: its value, data term and share of reliable pixels.

    Args:
        loss: the loss; it is not skipped for pairs with few reliable pixels here.
    """

    def __init__(self, loss: nn.Module | None = None) -> None:
        self.loss = loss if isinstance(loss, ElastographyLoss) else ElastographyLoss()

    def __call__(self, item: Mapping[str, Any], output: Mapping[str, Any]) -> Row:
        """Return the row of a pair from its `image` and the 4-channel `pred` on the same grid."""
        with torch.no_grad():
            pred = output["pred"].float()
            terms = self.loss.terms(pred[None], item["image"].to(pred.device)[None].float())
        return {
            "case": str(item["case"]),
            "loss": float(terms.data + terms.first_order + terms.second_order),
            "data_term": float(terms.data),
            "reliable_share": float(terms.reliable_share),
        }


class MeanOf:
    """The mean of one column of rows; NaN without rows.

    Args:
        column: name of the column.
    """

    def __init__(self, column: str) -> None:
        self.column = column

    def __call__(self, rows: Sequence[Row]) -> float:
        """Return the mean."""
        return sum(row[self.column] for row in rows) / len(rows) if rows else float("nan")
