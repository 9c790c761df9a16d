"""Patient-level folds: complete, disjoint, stratified, seeded."""

from collections import Counter

import pytest

from common.cine import cine_folds

LABELS = {f"p{k:03d}": int(k < 63) for k in range(184)}


def test_three_parts_train_one_validates_one_tests():
    for label, count in ((1, 63), (0, 121)):
        parts = Counter(part for case, part in cine_folds(LABELS).items() if LABELS[case] == label)
        assert abs(parts["test"] - count / 5) < 1 and abs(parts["validation"] - count / 5) < 1
        assert sum(parts.values()) == count


def test_every_patient_is_tested_once_and_validated_once_over_the_folds():
    splits = [cine_folds(LABELS, fold) for fold in range(5)]
    for part in ("test", "validation"):
        assert Counter(case for split in splits for case in split if split[case] == part) == Counter(list(LABELS))


def test_seed_alone_decides_and_the_order_of_the_cases_does_not():
    backwards = dict(reversed(LABELS.items()))
    assert cine_folds(LABELS, seed=3) == cine_folds(backwards, seed=3) != cine_folds(LABELS, seed=4)


@pytest.mark.parametrize("fold", range(5))
def test_three_patients_of_a_class_reach_all_three_parts(fold):
    labels = {"a": 1, "b": 1, "c": 1, "d": 0, "e": 0, "f": 0, "g": 0}
    parts = cine_folds(labels, fold)
    for label in (0, 1):
        assert {parts[case] for case in labels if labels[case] == label} == {"training", "validation", "test"}


def test_too_few_patients_of_a_class_is_an_error_that_names_them():
    with pytest.raises(ValueError, match=r"at least 3 patients of each class.*found 2 of class 1 \(a, b\) among 6"):
        cine_folds({"a": 1, "b": 1, "c": 0, "d": 0, "e": 0, "f": 0})


def test_unlabelled_patients_are_split_however_few():
    assert Counter(cine_folds({"a": None, "b": None}, strict=False).values()) == {"training": 1, "validation": 1}


def test_labelled_patients_keep_their_part_when_unlabelled_ones_join():
    joined = cine_folds({**LABELS, **{f"u{k}": None for k in range(50)}}, fold=2, strict=False)
    assert {case: joined[case] for case in LABELS} == cine_folds(LABELS, fold=2)


@pytest.mark.parametrize("fold,folds", [(5, 5), (-1, 5), (0, 2)])
def test_impossible_fold_is_refused(fold, folds):
    with pytest.raises(ValueError, match="expected folds >= 3 and 0 <= fold < folds"):
        cine_folds(LABELS, fold, folds)
