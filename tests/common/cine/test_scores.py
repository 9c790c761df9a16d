import numpy as np
import pytest

from common.cine import patient_auc, slice_auc
from common.cine import scores as heart_failure


def slices(*patients):
    """Rows of patients given as (case, label, probabilities)."""
    return [
        {"case": case, "slice": index, "label": label, "probability": value}
        for case, label, values in patients
        for index, value in enumerate(values)
    ]


def test_a_patients_score_is_the_mean_of_its_slices():
    rows = heart_failure.patient_rows(slices(("a", 1, [0.2, 0.4, 0.9]), ("b", 0, [0.1])))
    assert rows[0] == {"case": "a", "label": 1, "probability": pytest.approx(0.5), "slices": 3}
    assert rows[1]["probability"] == pytest.approx(0.1)


def test_patients_and_slices_can_disagree():
    rows = slices(("a", 1, [0.9, 0.2]), ("b", 0, [0.3, 0.3]))
    assert patient_auc(rows) == 1.0
    assert slice_auc(rows) == 0.5


def test_majority_is_the_share_of_the_more_frequent_class():
    assert heart_failure.majority(np.array([1, 0, 0, 0])) == 0.75
    assert heart_failure.majority(np.array([1, 1, 1, 0])) == 0.75


@pytest.mark.parametrize(("probability", "name"), [(0.49, "HFpEF"), (0.5, "HFrEF")])
def test_the_call_changes_at_the_threshold(probability, name):
    assert heart_failure.call(probability, 0.5) == name


def test_clusters_give_the_scores_of_the_slices_inside_them():
    rows = slices(("a", 1, [0.9, 0.2]), ("b", 0, [0.3, 0.6]), ("c", 1, [0.8, 0.7]))
    clusters = heart_failure.slices_by_patient(rows)
    assert heart_failure.clustered_auc(clusters) == pytest.approx(slice_auc(rows))
    assert heart_failure.ClusteredAccuracy(0.5)(clusters) == pytest.approx(4 / 6)
    assert heart_failure.clustered_auc(clusters[[1, 2, 2]]) == 1.0
