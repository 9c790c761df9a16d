"""The split into training, validation and test: one function for every bundle."""

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

Item = dict[str, Any]

SPLITS = ("training", "validation", "test")
_COMBINED = {"all": SPLITS, "development": SPLITS[:2]}


def wanted_splits(split: str) -> frozenset[str]:
    """Return the splits that a setting asks for.

    Args:
        split: "training", "validation", "test", several joined by "+", "development" (training and validation) or
            "all".

    Raises:
        ValueError: for any other word.
    """
    wanted = _COMBINED.get(split, tuple(str(split).split("+")))
    if not set(wanted) <= set(SPLITS):
        raise ValueError(
            f'split: expected {", ".join(SPLITS)}, several joined by "+", development or all; found {split!r}'
        )
    return frozenset(wanted)


def check_fold(fold: int, folds: int, least: int = 3) -> None:
    """Raise a ValueError unless there are at least `least` folds and `fold` is one of them, from 0."""
    if folds < least or not 0 <= fold < folds:
        raise ValueError(f"expected at least {least} folds and 0 <= fold < folds, found fold {fold} of {folds}")


def split_of_part(part: int, fold: int, folds: int) -> str:
    """Return the split of a part of the cross-validation: part `fold` is the test, the next one the validation."""
    if part % folds == fold % folds:
        return "test"
    return "validation" if part % folds == (fold + 1) % folds else "training"


def in_split(items: Sequence[Item], split: str, fold: int, folds: int) -> list[Item]:
    """Return the items of a data set that numbers its own parts (key "fold") which are in the wanted splits.

    Raises:
        ValueError: if `split` is unknown or the fold is not one of them.
    """
    wanted = wanted_splits(split)
    check_fold(fold, folds)
    return [item for item in items if split_of_part(item["fold"], fold, folds) in wanted]


def assign_splits(
    groups: Mapping[str, str],
    fold: int,
    folds: int,
    seed: int,
    strata: Mapping[str, Hashable] | None = None,
    shuffle: Literal["each", "all", "python"] = "each",
    wrap: bool = False,
) -> dict[str, str]:
    """Return name -> "training", "validation" or "test", in shuffled order of the groups.

    The groups of each stratum are shuffled and dealt to `folds` parts in turn (:func:`split_of_part`).

    Args:
        groups: name -> group, such as the patient of a file; a group is never divided.
        fold: which part is the test, from 0.
        folds: number of parts.
        seed: seed of the shuffle, which alone decides it: the order of the names counts only for "all".
        strata: group -> stratum, such as its class, that every part gets its share of.
        shuffle: the published folds come from different generators. "each": numpy, each stratum from its start;
            "all": numpy, all groups in their given order, strata dealt one after the other without a new start;
            "python": `random.Random`, each stratum.
        wrap: whether a stratum of fewer groups than folds is dealt to as many parts as it has groups, so that no part
            is empty, and of fewer than three to training first, then to validation.
    """
    splits: dict[str, str] = {}
    for deal in _deals(groups, strata or {}, seed, shuffle):
        if wrap and len(deal) < len(SPLITS):
            first = fold % len(deal)
            splits |= dict(zip(deal[first:] + deal[:first], SPLITS, strict=False))
            continue
        parts = min(folds, len(deal)) if wrap else folds
        splits |= {group: split_of_part(place, fold, parts) for place, group in enumerate(deal)}
    rank = {group: place for place, group in enumerate(splits)}
    return {name: splits[groups[name]] for name in sorted(groups, key=lambda name: (rank[groups[name]], name))}


def _deals(groups: Mapping[str, str], strata: Mapping[str, Hashable], seed: int, shuffle: str) -> list[list[str]]:
    """Return the shuffled groups that are dealt together."""
    distinct = list(dict.fromkeys(groups.values()))
    kinds = sorted({strata.get(group) for group in distinct}, key=str)
    if shuffle == "all":
        order = [distinct[k] for k in np.random.default_rng(seed).permutation(len(distinct))]
        return [[group for kind in kinds for group in order if strata.get(group) == kind]]
    each = [sorted(group for group in distinct if strata.get(group) == kind) for kind in kinds]
    if shuffle == "python":
        for deal in each:
            random.Random(seed).shuffle(deal)
        return each
    return [[deal[k] for k in np.random.default_rng(seed).permutation(len(deal))] for deal in each]
