"""What the table of a study lacks, in sentences: runs that were not scored, and figures that rest on fewer runs."""

from collections.abc import Mapping, Sequence

from ..evaluation.evaluation import MODEL
from .study_plan import Content, Run
from .study_table import Key, Tables


def gaps(content: Content, runs: Sequence[Run], tables: Tables) -> list[str]:
    """Return a sentence for each arm whose runs were not all scored, and each figure that rests on fewer runs.

    Args:
        content: the study.
        runs: those of the arms that were to run.
        tables: from :func:`study_tables`.
    """
    said, lacking = [], dict[str, list[str]]()
    for arm, by_run in tables.items():
        own = [run for run in runs if run.arm == arm]
        if unscored := sum(run.scored is None for run in own):
            said.append(f"{arm}: {unscored} of {len(own)} runs not scored, as jobs have not finished (jobs.csv).")
        method = content["arms"][arm].get("method", MODEL)
        for heading, metric in content["metrics"].items():
            found = {key: table.get((method, metric)) for key, table in by_run.items()}
            without = {key: row for key, row in found.items() if row is None or row["value"] is None}
            if without:
                lacking.setdefault(f"{heading}: {_lack(without, len(found))}", []).append(arm)
    return [*said, *(f"{gap}: {'; '.join(arms)}." for gap, arms in lacking.items())]


def _lack(without: Mapping[Key, object], count: int) -> str:
    """Return how many of `count` values are missing, of which runs, and why."""
    runs = "; ".join(f"seed {seed}" if fold is None else f"fold {fold}, seed {seed}" for seed, fold in without)
    reasons = {
        "no case for it" if row is None else "undefined for its cases and predictions" for row in without.values()
    }
    values = "1 value" if count == 1 else f"{count} values"
    where = f" ({runs})" if len(without) < count else ""
    return f"{len(without)} of {values} missing{where}, {' or '.join(sorted(reasons))}"
