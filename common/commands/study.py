"""`python -m common study B NAME`: a table of the paper, each job once, however often the study is stopped."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from ..data.output import LOCK, held
from ..files import write_csv
from .jobs import Job, run_jobs
from .plan import say
from .study_plan import Limits, StudyPlan
from .study_table import write_table


def study(bundle: str, name: str, output: Path, dataset_dir: Path | None, limits: Limits, workers: int = 1) -> int:
    """Run what is missing of a study, write its tables to `output/BUNDLE/NAME`, and return the exit status.

    Args:
        bundle: name of the bundle.
        name: of the study, `studies/NAME.json`.
        output: folder of all studies; `output/BUNDLE/jobs` is shared by those of one bundle.
        dataset_dir: folder of the cases; None where the study simulates them.
        limits: what is left out of the study and set in it.
        workers: processes side by side.
    """
    work = (output / bundle).resolve()
    with held(work / LOCK):
        plan = StudyPlan(bundle, name, work / "jobs", dataset_dir, limits)
        say(f"\n== {bundle}, {name}: {plan.content['title']}\n   {plan.content['intro']}")
        for arm, needs in plan.left_out().items():
            say(f"   {arm}: left out, needs {' and '.join(needs)}")
        failed = _run(plan, workers)
        write_csv(work / name / "jobs.csv", list(_job_rows(plan)))
        say("\n" + write_table(work / name, plan.content, plan.runs))
        say(f"table, cases and jobs: {work / name}")
    if failed:
        say(f"{len(failed)} of {len(plan.jobs())} jobs did not finish; the same command tries them again")
    return int(bool(failed))


def _run(plan: StudyPlan, workers: int) -> list[Job]:
    """Run what has not finished, one line a job, and return what failed."""
    jobs = plan.jobs()
    missing = [job for job in jobs if not job.record.is_file()]
    kinds = ", ".join(f"{count} {stage}" for stage, count in Counter(job.stage for job in missing).items())
    say(f"   {len(jobs)} jobs, {len(jobs) - len(missing)} done already{f'; to do: {kinds}' if kinds else ''}")
    failed: list[Job] = []
    for ended, (job, outcome) in enumerate(run_jobs(missing, workers), len(jobs) - len(missing) + 1):
        line = f"[{ended:{len(str(len(jobs)))}}/{len(jobs)}] {_label(plan, job)}"
        if isinstance(outcome, float):
            left = seconds_left(jobs) / workers
            say(f"{line}: {outcome:.0f} s{f', about {in_words(left)} to go' if ended < len(jobs) else ''}")
            continue
        failed.append(job)
        why = f"FAILED, {reason(outcome)}; see {job.log}" if outcome else "left out, because what it needs failed"
        say(f"{line}: {why}")
    return failed


def seconds_left(jobs: list[Job]) -> float:
    """Return how long the jobs without record will take: each the mean of its stage so far, or else of all jobs."""
    took = defaultdict(list)
    for job in jobs:
        if job.record.is_file():
            took[job.stage].append(_seconds(job))
    usual = fmean(seconds for some in took.values() for seconds in some)
    missing = [job.stage for job in jobs if not job.record.is_file()]
    return sum(fmean(took[stage]) if stage in took else usual for stage in missing)


def _seconds(job: Job) -> float:
    return float(json.loads(job.record.read_text(encoding="utf-8"))["seconds"])


def _label(plan: StudyPlan, job: Job) -> str:
    """Return stage, arm, fold and seed of a job; of several arms that share it the first, and how many more."""
    users = [run for run in plan.runs if job in run.jobs]
    if not users:
        return job.stage
    first, more = users[0], len({run.arm for run in users}) - 1
    fold = "" if first.fold is None else f", fold {first.fold}"
    return f"{job.stage}, {first.arm}{f' and {more} more' if more else ''}{fold}, seed {first.seed}"


def _job_rows(plan: StudyPlan) -> Iterator[dict[str, Any]]:
    """Yield a row for each job of each run, so that a figure of the table leads to its log and models."""
    for run in plan.runs:
        for job in run.jobs:
            done = job.record.is_file()
            yield {
                "arm": run.arm,
                "fold": "" if run.fold is None else run.fold,
                "seed": run.seed,
                "stage": job.stage,
                "finished": done,
                "seconds": _seconds(job) if done else "",
                "folder": job.folder.name,
            }


def in_words(seconds: float) -> str:
    """Return a duration as a person says it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def reason(error: BaseException) -> str:
    """Return the first line of the first cause of an error."""
    while (cause := error.__cause__ or error.__context__) is not None and not _is_remote(cause):
        error = cause
    return str(error).strip().split("\n")[0] or type(error).__name__


def _is_remote(error: BaseException) -> bool:
    return type(error).__name__ == "_RemoteTraceback"  # the text of a worker's traceback, which the log has
