"""Patient-level folds: three parts training, one validation, one test, in every part the classes as in the whole."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

PARTS = ("training", "validation", "test")


def cine_folds(
    labels: Mapping[str, int | None], fold: int = 0, folds: int = 5, seed: int = 0, strict: bool = True
) -> dict[str, str]:
    """Return case -> "training", "validation" or "test".

    Each class is shuffled by `seed` alone and dealt to `folds` parts in turn; part `fold` is the test, the next one
    the validation. A class of fewer patients than folds is dealt to as many parts as it has patients, so that each
    part of the split has one of them.

    Args:
        labels: case -> class, or None where it is unknown (a stratum of its own).
        fold: which part is the test, from 0.
        folds: number of parts, at least 3.
        seed: shuffles the cases.
        strict: whether every class must reach every part.

    Raises:
        ValueError: if `fold` is not below `folds`, `folds` is under 3, or (when strict) a class has under 3 patients.
    """
    if folds < 3 or not 0 <= fold < folds:
        raise ValueError(f"expected folds >= 3 and 0 <= fold < folds, found fold {fold} of {folds}.")
    parts: dict[str, str] = {}
    for label in sorted(set(labels.values()), key=str):
        cases = sorted(case for case, value in labels.items() if value == label)
        if strict and len(cases) < len(PARTS):
            raise ValueError(
                f"expected at least 3 patients of each class (training, validation, test), found {len(cases)} of class "
                f"{label} ({', '.join(cases)}) among {len(labels)}; add patients or move the EF threshold."
            )
        parts.update(_deal(cases, fold, folds, seed))
    return parts


def _deal(cases: list[str], fold: int, folds: int, seed: int) -> dict[str, str]:
    order = np.random.default_rng(seed).permutation(len(cases))
    if len(cases) < len(PARTS):
        # Too few for three parts: training first, then validation.
        return {cases[k]: PARTS[place] for place, k in enumerate(np.roll(order, -fold))}
    rounds = min(folds, len(cases))
    test, validation = fold % rounds, (fold + 1) % rounds
    names = {test: "test", validation: "validation"}
    return {cases[k]: names.get(place % rounds, "training") for place, k in enumerate(order)}
