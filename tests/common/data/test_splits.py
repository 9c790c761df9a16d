"""Splits: complete, disjoint, stratified, by group, seeded. Which name goes where is pinned in test_split_pins.py."""

import itertools
from collections import Counter

import pytest

from common.data.splits import SPLITS, assign_splits, check_fold, in_split, split_of_part, wanted_splits

CLASSES = {f"p{k:03d}": int(k < 63) for k in range(184)}
SHUFFLES = ("each", "all", "python")


def splits_of(names, fold=0, folds=5, seed=0, **options):
    return assign_splits({name: name for name in names}, fold, folds, seed, **options)


def by_class(fold=0, shuffle="each", names=CLASSES, **options):
    return splits_of(names, fold, strata=CLASSES, shuffle=shuffle, **options)


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_three_parts_train_one_validates_one_tests_in_every_stratum(shuffle):
    for label, count in ((1, 63), (0, 121)):
        found = Counter(split for name, split in by_class(shuffle=shuffle).items() if CLASSES[name] == label)
        assert abs(found["test"] - count / 5) < 1 and abs(found["validation"] - count / 5) < 1
        assert sum(found.values()) == count


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_everything_is_tested_once_and_validated_once_over_the_folds(shuffle):
    folds = [by_class(fold, shuffle) for fold in range(5)]
    for wanted in ("test", "validation"):
        assert Counter(n for splits in folds for n in splits if splits[n] == wanted) == Counter(list(CLASSES))
    for fold in range(5):
        validated = {name for name, split in folds[fold].items() if split == "validation"}
        assert validated == {name for name, split in folds[(fold + 1) % 5].items() if split == "test"}


@pytest.mark.parametrize("shuffle", ["each", "python"])
def test_seed_alone_decides_and_the_order_of_the_names_does_not(shuffle):
    backwards = by_class(shuffle=shuffle, names=list(reversed(CLASSES)), seed=3)
    assert list(by_class(shuffle=shuffle, seed=3).items()) == list(backwards.items())
    assert backwards != by_class(shuffle=shuffle, seed=4)


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_a_group_is_never_divided_and_its_names_are_neighbours(shuffle):
    groups = {f"f{k:02d}": f"patient {k % 11}" for k in range(40)}
    splits = assign_splits(groups, 2, 5, 1, shuffle=shuffle)
    assert {len({splits[n] for n in groups if groups[n] == g}) for g in set(groups.values())} == {1}
    order = [groups[name] for name in splits]
    assert sum(a != b for a, b in itertools.pairwise(order)) == 10


@pytest.mark.parametrize("fold", range(5))
def test_three_patients_of_a_class_reach_all_three_splits_where_the_parts_wrap_around(fold):
    classes = {"a": 1, "b": 1, "c": 1, "d": 0, "e": 0, "f": 0, "g": 0}
    splits = splits_of(classes, fold, strata=classes, wrap=True)
    for label in (0, 1):
        assert {splits[name] for name in classes if classes[name] == label} == set(SPLITS)


@pytest.mark.parametrize("fold", range(5))
def test_of_two_one_trains_and_one_validates_where_the_parts_wrap_around(fold):
    assert Counter(splits_of("ab", fold, wrap=True).values()) == {"training": 1, "validation": 1}
    assert splits_of("a", fold, wrap=True) == {"a": "training"}


def test_parts_that_do_not_wrap_around_stay_empty():
    assert [list(splits_of("abc", fold).values()).count("test") for fold in range(5)] == [1, 1, 1, 0, 0]


def test_members_of_a_stratum_keep_their_split_when_another_stratum_joins():
    classes = {**CLASSES, **{f"u{k}": None for k in range(50)}}
    joined = splits_of(classes, 2, strata=classes, wrap=True)
    assert {name: joined[name] for name in CLASSES} == by_class(2)


def test_nothing_is_split_into_nothing():
    assert assign_splits({}, 0, 5, 0) == {}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("training", {"training"}),
        ("training+test", {"training", "test"}),
        ("development", {"training", "validation"}),
        ("all", set(SPLITS)),
    ],
)
def test_a_setting_may_join_splits(split, expected):
    assert wanted_splits(split) == expected


@pytest.mark.parametrize("split", ["train", "", "training,test", "all+test", None])
def test_an_unknown_split_is_refused(split):
    with pytest.raises(ValueError, match=r"split: expected training, validation, test, several .* found "):
        wanted_splits(split)


@pytest.mark.parametrize(("fold", "folds"), [(5, 5), (-1, 5), (0, 2)])
def test_an_impossible_fold_is_refused(fold, folds):
    with pytest.raises(ValueError, match=f"at least 3 folds and 0 <= fold < folds, found fold {fold} of {folds}"):
        check_fold(fold, folds)
    check_fold(1, 2, least=2)


def test_numbered_parts_are_the_test_then_the_validation():
    assert [split_of_part(part, 4, 5) for part in range(5)] == ["validation", *["training"] * 3, "test"]
    items = [{"fold": n // 2} for n in range(10)]
    assert [item["fold"] for item in in_split(items, "test+validation", 4, 5)] == [0, 0, 4, 4]
    assert in_split(items, "all", 0, 5) == items
    with pytest.raises(ValueError, match="found fold 5 of 5"):
        in_split(items, "all", 5, 5)
