"""`python -m common study B NAME`: a table of the paper, each job once, however often the study is stopped."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from ..data.output import LOCK, held
from ..evaluation.evaluation import MODEL
from ..evaluation.table import read_evaluation
from ..files import write_csv
from .captions import label
from .executors import Cluster, executor_of
from .jobs import SCORING, Job, run_jobs
from .report import write_report
from .study_file import headings
from .study_gaps import gaps
from .study_plan import Limits, StudyPlan
from .study_table import Rows, lines_of, study_rows, study_tables, write_table
from .terminal import progress, say

_CAUSE = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt)\w*: (.+)$", re.MULTILINE)
_STATE = re.compile(r"has not produced any output \(state: (.+)\)")  # as submitit says it


class Outcome(NamedTuple):
    """What a study ended with: its plan, folder and rows, and the exit status."""

    plan: StudyPlan
    folder: Path
    rows: Rows
    status: int


def study(
    bundle: str,
    name: str,
    output: Path,
    dataset_dir: Path | None = None,
    limits: Limits | None = None,
    workers: int = 1,
    cluster: Cluster | None = None,
) -> Outcome:
    """Run what is missing of a study and write its tables and its report to `output/BUNDLE/NAME`.

    Args:
        bundle: name of the bundle.
        name: of the study, `studies/NAME.json`.
        output: folder of all studies; `output/BUNDLE/jobs` is shared by those of one bundle.
        dataset_dir: folder of the cases; None where the study simulates them.
        limits: what is left out of the study and set in it.
        workers: jobs side by side.
        cluster: where they run; None for this machine.
    """
    work = (output / bundle).resolve()
    with held(work / LOCK):
        plan = StudyPlan(bundle, name, work / "jobs", dataset_dir, limits or Limits())
        say(f"\n== {bundle}, {name}: {plan.content['title']}\n   {plan.content['intro']}")
        for arm, needs in plan.left_out().items():
            say(f"   {arm}: left out, needs {' and '.join(needs)}")
        failed = _run(plan, workers, cluster)
        folder = work / name
        write_csv(folder / "jobs.csv", list(_job_rows(plan)))
        tables = study_tables(folder, plan.content, plan.runs)
        rows, notes = study_rows(plan.content, plan.runs, tables), gaps(plan.content, plan.runs, tables)
        write_table(folder, plan.content, plan.runs, rows, notes)
        report = write_report(folder / "report.html", bundle, plan, rows, notes)
    say("\n".join(f"   {line}".rstrip() for line in ["", *lines_of(plan.content, rows), *notes, f"report: {report}"]))
    if failed:
        say(f"{len(failed)} of {len(plan.jobs())} jobs did not finish; the same command tries them again")
    return Outcome(plan, folder, rows, int(bool(failed)))


def demo(bundles: Sequence[str], output: Path) -> int:
    """Run the demo of each bundle and return the exit status."""
    return max(study(bundle, "demo", output).status for bundle in bundles)


def _run(plan: StudyPlan, workers: int, cluster: Cluster | None) -> list[Job]:
    """Run what has not finished, one line a job, and return what failed."""
    jobs = plan.jobs()
    missing = [job for job in jobs if not job.record.is_file()]
    kinds = ", ".join(f"{count} {stage}" for stage, count in Counter(job.stage for job in missing).items())
    say(f"   {len(jobs)} jobs, {len(jobs) - len(missing)} done already{f'; to do: {kinds}' if kinds else ''}")
    failed: list[Job] = []
    watched: dict[str, Job] = {}
    with executor_of(workers, cluster) as executor, progress(watched, lambda job: label(plan, job)):
        ended = len(jobs) - len(missing)
        for job, outcome in run_jobs(missing, executor, workers, watched):
            ended += 1
            line = f"[{ended:{len(str(len(jobs)))}}/{len(jobs)}] {label(plan, job)}"
            if isinstance(outcome, float):
                left = seconds_left(jobs) / min(workers, len(missing))
                to_go = f", about {in_words(left)} to go" if ended < len(jobs) else ""
                say(f"{line}: {outcome:.0f} s{_score(plan, job)}{to_go}")
                continue
            failed.append(job)
            why = f"FAILED, {reason(outcome)}; see {job.log}" if outcome else "left out, because what it needs failed"
            say(f"{line}: {why}")
    return failed


def _score(plan: StudyPlan, job: Job) -> str:
    """Return the first figure of what a job has scored that the other evaluations so far have, too."""
    if job.run_id not in SCORING:
        return ""
    alike = [job, *(other for other in plan.jobs() if other.stage == job.stage and other.record.is_file())]
    tables = [read_evaluation(one.output) for one in alike]
    for heading in headings(plan.content):
        rows = [table.get((MODEL, plan.content["metrics"][heading])) for table in tables]
        values = [row["value"] for row in rows if row and row["value"] is not None]
        if len(values) == len(tables):
            return f", {heading} {values[0]:.4g}"
    return ""


def seconds_left(jobs: list[Job]) -> float:
    """Return how long the jobs without record will take: each the mean of its stage so far, or else of all jobs."""
    took = defaultdict(list)
    for job in jobs:
        if job.record.is_file():
            took[job.stage].append(float(job.noted["seconds"]))
    usual = fmean(seconds for some in took.values() for seconds in some)
    missing = [job.stage for job in jobs if not job.record.is_file()]
    return sum(fmean(took[stage]) if stage in took else usual for stage in missing)


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
                "seconds": job.noted["seconds"] if done else "",
                "folder": job.folder.name,
            }


def in_words(seconds: float) -> str:
    """Return a duration as a person says it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def reason(error: BaseException) -> str:
    """Return the first line of an error that says what was expected, or else of its first cause.

    A cluster's error has the text of a traceback.
    """
    while (
        "expected" not in str(error)  # the words of this package, which name file and remedy
        and (cause := error.__cause__ or error.__context__) is not None
        and not _is_remote(cause)
    ):
        error = cause
    if isinstance(error, BrokenExecutor):
        return "its process was killed, perhaps because the memory was full"
    causes = _CAUSE.findall(str(error))
    if state := _STATE.search(str(error)):
        return f"the scheduler ended it: {state[1]}"
    causes.sort(key=lambda cause: "expected" not in cause)
    return causes[0] if causes else str(error).strip().split("\n")[0] or type(error).__name__


def _is_remote(error: BaseException) -> bool:
    return type(error).__name__ == "_RemoteTraceback"  # the text of a worker's traceback, which the log has
