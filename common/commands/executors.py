"""Where the jobs of a study run: in this process, in several beside it, or on a cluster through `submitit`."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from typing import Any, NamedTuple

from ..errors import StudyError
from .jobs import Job, run_job

JOBS = {"slurm": "SlurmJob", "local": "LocalJob"}  # clusters, and submitit's class of their jobs
_LONGEST_MIN = 24 * 60  # of one job; submitit alone allows five minutes


class Cluster(NamedTuple):
    """A cluster as it was asked for.

    Args:
        kind: "slurm", or "local" for processes of this machine by the same way.
        options: submitit's parameters, such as `timeout_min`, `gpus_per_node` or `slurm_partition`.
    """

    kind: str
    options: Mapping[str, Any] = {}


def executor_of(workers: int, cluster: Cluster | None) -> AbstractContextManager[Any]:
    """Return what jobs are submitted to, each as `submit(job)`; it gives futures, or jobs of submitit.

    Args:
        workers: processes side by side; one is this process.
        cluster: None for this machine.
    """
    if cluster:
        return nullcontext(_OnCluster(cluster))
    return _Here() if workers == 1 else _Workers(workers)


class _Here(Executor):
    """Runs what is submitted at once, in this process."""

    def submit(self, job: Job) -> Future[float]:  # type: ignore[override]
        future: Future[float] = Future()
        try:
            future.set_result(run_job(job))
        except Exception as error:
            future.set_exception(error)
        return future


class _Workers(Executor):
    """Processes that share the cores, each in a pool of its own: one that is killed takes no other job down."""

    def __init__(self, workers: int) -> None:
        self._last: list[Future[float] | None] = [None] * workers
        self._pools = [self._pool() for _ in self._last]

    def _pool(self) -> ProcessPoolExecutor:
        arguments = (os.getpid(), max(1, (os.cpu_count() or 1) // len(self._last)))
        return ProcessPoolExecutor(1, get_context("spawn"), initializer=_start_worker, initargs=arguments)

    def submit(self, job: Job) -> Future[float]:  # type: ignore[override]
        slot = next(index for index, last in enumerate(self._last) if last is None or last.done())
        try:
            future = self._pools[slot].submit(run_job, job)
        except BrokenExecutor:  # its process was killed, with the job before this one
            self._pools[slot] = self._pool()
            future = self._pools[slot].submit(run_job, job)
        self._last[slot] = future
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for pool in self._pools:
            pool.shutdown(wait, cancel_futures=cancel_futures)


def _start_worker(parent: int, threads: int) -> None:
    """Share the cores, and end when the study is killed."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when torch is imported
    _end_unless(lambda: os.getppid() == parent)


def _end_unless(alive: Callable[[], bool]) -> None:
    """End this process once the study is not alive: a job left alone would run on beside the next study."""

    def watch() -> None:
        while alive():
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _runs(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


class _OnCluster:
    """Submits to a cluster; a job that a study submitted before it was killed is waited for, not submitted again.

    A local job ends with the study that submitted it.
    """

    def __init__(self, cluster: Cluster) -> None:
        try:
            import submitit
        except ImportError as error:
            raise StudyError("--cluster: expected submitit, found none; pip install -e '.[cluster]'") from error
        self.submitit, self.cluster = submitit, cluster

    def submit(self, job: Job) -> Any:
        folder, noted = job.folder / "cluster", job.folder / "cluster" / "job_id.txt"
        try:
            executor = self.submitit.AutoExecutor(folder, cluster=self.cluster.kind)
            name = {"slurm_job_name": job.stage.replace(" ", "_")} if self.cluster.kind == "slurm" else {}
            executor.update_parameters(**{"timeout_min": _LONGEST_MIN, **name, **self.cluster.options})
        except (ValueError, NameError, RuntimeError) as error:  # an option, or no sbatch
            raise StudyError(f"--cluster {self.cluster.kind}: {str(error).splitlines()[0]}") from error
        if noted.is_file():
            earlier = getattr(self.submitit, JOBS[self.cluster.kind])(folder, noted.read_text(encoding="utf-8"))
            if not earlier.done(force_check=True):
                return earlier
        try:
            submitted = executor.submit(_Resumed(os.getpid() if self.cluster.kind == "local" else None), job)
        except RuntimeError as error:  # the scheduler refuses, or does not answer
            said = str(error).strip().splitlines()[-1]
            raise StudyError(f"--cluster {self.cluster.kind}: expected the job to be taken, found {said}") from error
        noted.write_text(submitted.job_id, encoding="utf-8")
        return submitted


class _Resumed:
    """Runs a job, which goes on from where it was; submitit submits it again where a time limit ends it.

    Args:
        study: process id of a study that the job ends with; None where the job outlives it.
    """

    def __init__(self, study: int | None) -> None:
        self.study = study

    def __call__(self, job: Job) -> float:
        if (study := self.study) is not None:
            _end_unless(lambda: _runs(study))
        return run_job(job)

    def checkpoint(self, job: Job) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)
