import math

import pytest

from common.bundle import installed_bundles_folder
from common.label.served import ServedBundle, checked_number
from common.label.training import Score, checked_options, training_options

LEARNS = installed_bundles_folder() / "hie_ladp_seg"


def test_the_settings_offered_are_the_bundles_own():
    offered = training_options(ServedBundle(LEARNS))
    assert offered == {"max_epochs": 30, "batch_size": 16, "learning_rate": 1e-4, "val_split": 0.2}


@pytest.mark.parametrize(
    "wrong",
    [{"max_epochs": "$__import__('os').getpid()"}, {"max_epochs": 0}, {"max_epochs": -1}, {"max_epochs": 1.5},
     {"max_epochs": 10**9}, {"max_epochs": 10**5000}, {"max_epochs": None}, {"max_epochs": [1]}, {"batch_size": True},
     {"batch_size": 10000}, {"learning_rate": math.nan}, {"learning_rate": math.inf}, {"learning_rate": 1},
     {"learning_rate": 0}, {"learning_rate": "1e-4"}, {"val_split": 0.9}, {"val_split": 0}, {"num_workers": 64},
     {"device": "cuda"}, {"gpus": "0"}, {"model_dir": "/tmp"}, {"network": "$x"}, {"$x": 1}],
    ids=range(23),
)  # fmt: skip
def test_settings_from_outside_are_known_numbers_in_their_range(wrong):
    with pytest.raises(ValueError):
        checked_options(ServedBundle(LEARNS), wrong)


def test_what_clients_send_besides_is_no_setting():
    options = checked_options(ServedBundle(LEARNS), {"max_epochs": 2, "client_id": "user-xyz"})
    assert options == {"max_epochs": 2, "batch_size": 16, "learning_rate": 1e-4, "val_split": 0.2}


@pytest.mark.parametrize(("value", "default"), [(0, 3), (30, 3), (5.0, 0.5), (-1e9, None), (2, 0.5)])
def test_a_number_of_the_kind_of_the_default_is_taken(value, default):
    assert checked_number("x", value, default) == value


@pytest.mark.parametrize(
    ("value", "default"),
    [(31, 3), (2.5, 3), (-1, 3), (5.1, 0.5), (math.nan, 0.5), (math.inf, None), (True, 3), (True, None), ("1", 3)],
)
def test_any_other_number_is_refused(value, default):
    with pytest.raises(ValueError, match="x: expected"):
        checked_number("x", value, default)


@pytest.mark.parametrize(
    ("after", "before", "sign", "better"),
    [(0.5, 0.4, 1, True), (0.4, 0.5, 1, False), (0.5, 0.5, 1, False), (0.4, 0.5, -1, True), (0.5, 0.4, -1, False),
     (math.nan, 0.1, 1, False), (math.nan, None, 1, False), (0.1, math.nan, 1, True), (0.1, None, 1, True)],
)  # fmt: skip
def test_new_weights_are_used_only_if_they_do_better(after, before, sign, better):
    other = None if before is None else Score("dice", before, sign)
    assert Score("dice", after, sign).better_than(other) is better
