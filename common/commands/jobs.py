"""Jobs of a study: what one is, how it is run once and never again, and in which order."""

import hashlib
import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from ..bundle import command_line, run_bundle
from ..data.output import LOCK, held
from ..files import write_json

SCORING = ("evaluating", "transferring")  # run ids that end with a table of figures
WITHOUT_TRAINING = ("evaluating", "inferring")  # run ids that leave the models as they are
_TEXTS = {".csv", ".tsv", ".txt", ".cfg", ".json", ".xlsx"}  # read whole: an edit need not change their size
_POLL_SECONDS = 0.05
Outcome = float | BaseException | None


class Job(NamedTuple):
    """One stage of one arm, fold and seed, or the simulation of a data set.

    Args:
        stage: name of the stage, or of the data set.
        key: hash of all that determines the outcome.
        jobs: folder of all jobs of a bundle; this one writes to `STAGE-KEY` in it.
        needs: keys of the jobs that must have finished.
        phantom: phantom call without its directory; None for a stage.
        root, run_id, configs, overrides: a stage, see :func:`run_bundle`; without folders for models and output.
        start: folder of models that a stage takes over; None for none.
        title: what a person is told of it.
    """

    stage: str
    key: str
    jobs: Path
    needs: tuple[str, ...] = ()
    phantom: Mapping[str, Any] | None = None
    root: Path = Path()
    run_id: str = ""
    configs: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = {}
    start: Path | None = None
    title: str = ""

    @property
    def folder(self) -> Path:
        """The folder of this job."""
        return self.jobs / f"{self.stage.replace(' ', '_')}-{self.key[:12]}"

    @property
    def output(self) -> Path:
        """What the stage writes, or the simulated cases."""
        return self.folder / "output"

    @property
    def models(self) -> Path:
        """Models after this job: its own, or those that it only used."""
        return self.start if self.start and self.run_id in WITHOUT_TRAINING else self.folder / "models"

    @property
    def log(self) -> Path:
        """What the job printed."""
        return self.folder / "log.txt"

    @property
    def record(self) -> Path:
        """Written last: a job with it has finished."""
        return self.folder / "job.json"

    @property
    def noted(self) -> dict[str, Any]:
        """What the record of a finished job says: `seconds`, `cpu_seconds`, `command`."""
        return json.loads(self.record.read_text(encoding="utf-8"))


def run_job(job: Job) -> float:
    """Run a job with its output in its log, note that it has finished, and return the seconds it took."""
    began, used = time.perf_counter(), time.process_time()
    with held(job.folder / LOCK), _logged(job.log):
        line = _simulate(job) if job.phantom is not None else _run_stage(job)
    seconds = time.perf_counter() - began
    cpu_seconds = time.process_time() - used
    content = {"key": job.key, "seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1), "command": line}
    write_json(job.record, content)
    return seconds


def _simulate(job: Job) -> str:
    shutil.rmtree(job.output, ignore_errors=True)  # of a simulation that was stopped
    call_phantom({**(job.phantom or {}), "directory": str(job.output)})
    return ""


def call_phantom(call: Mapping[str, Any]) -> None:
    """Make the phantom call `call`, a dictionary with `_target_` and arguments."""
    from monai.bundle import ConfigParser

    ConfigParser({"call": dict(call)}).get_parsed_content("call")


def _run_stage(job: Job) -> str:
    """Run the stage, a training from its last finished epoch if it was stopped, and return it as a shell command."""
    if job.start and job.models != job.start and not job.models.exists():
        copy = job.folder / "models.partial"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(job.start, copy)
        copy.rename(job.models)
    overrides = {**job.overrides, "model_dir": str(job.models), "output_dir": str(job.output)}
    line = command_line(job.root, job.run_id, job.configs, overrides)
    print(f"$ {line}", flush=True)  # noqa: T201
    run_bundle(job.root, job.run_id, job.configs, overrides)
    return line


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what this process and its libraries print and log to the end of a file, an error with its traceback."""
    import monai.bundle  # noqa: F401  # its loggers keep the stream of their import: this one, whose descriptor moves

    logger = logging.getLogger()
    before = logger.handlers[:], logger.level
    with (
        path.open("a", encoding="utf-8") as stream,
        redirect_stdout(stream),
        redirect_stderr(stream),
        _descriptors(stream.fileno()),
    ):
        try:
            yield
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            logger.handlers[:], logger.level = before
            stream.flush()


@contextmanager
def _descriptors(target: int) -> Iterator[None]:
    """Let what is written to descriptors 1 and 2, by C libraries as well, go to `target`."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in kept:
            os.dup2(target, number)
        yield
    finally:
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


def run_jobs(
    jobs: Sequence[Job], executor: Any, workers: int, watched: dict[str, Job]
) -> Iterator[tuple[Job, Outcome]]:
    """Run jobs, each after those that it needs, and yield each with its seconds, or why it failed.

    Args:
        jobs: none of them finished; what they need is among them or has finished.
        executor: see `executors.py`.
        workers: jobs submitted at once, at most.
        watched: key -> job of those that are under way.

    Yields:
        The job and its seconds, its error, or None where a job that it needs has failed.
    """
    waiting, lost = {job.key: job for job in jobs}, set[str]()
    running: dict[Any, Job] = {}
    while waiting or running:
        while doomed := next((job for job in waiting.values() if lost & set(job.needs)), None):
            lost.add(waiting.pop(doomed.key).key)
            yield doomed, None
        busy = {job.key for job in running.values()} | waiting.keys()
        ready = [job for job in waiting.values() if not busy & set(job.needs)]
        for job in ready[: workers - len(running)]:
            watched[job.key] = job
            running[executor.submit(waiting.pop(job.key))] = job
        ended = [future for future in running if future.done()]
        for future in ended:
            job, error = running.pop(future), future.exception()
            del watched[job.key]
            lost |= {job.key} if error else set()
            yield job, error or future.result()
        if not ended:
            time.sleep(_POLL_SECONDS)


def fingerprint(value: Any) -> Any:
    """Return what tells one input from another: a file by its content, a folder by its files, else the value itself.

    Of a folder count the names of its files and their sizes; of tables and other short texts the content.
    """
    if not isinstance(value, str) or not (Path(value).is_file() or ("/" in value and Path(value).is_dir())):
        return value  # a word is no folder that happens to have its name
    path, digest = Path(value), hashlib.sha256()
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()} {file.stat().st_size}\n".encode(errors="surrogateescape"))
        if file.suffix.lower() in _TEXTS:
            digest.update(file.read_bytes())
    return digest.hexdigest()
