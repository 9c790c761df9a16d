"""A process of its own that computes the answers: it may be killed, and the server lives."""

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from .contents import check_contents
from .label_objects import label_from_dicom, label_to_dicom
from .served import Answer, ServedBundle

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

UNUSABLE, NO_WEIGHTS, BUSY = 422, 503, 503
STARTED_WITHIN_S = 600.0
EXPECTED = (ValueError, FileNotFoundError)
# What the process does besides answering; no bundle has a slash in its name.
CHECK, TO_DICOM, FROM_DICOM = "/check", "/to_dicom", "/from_dicom"
TASKS: dict[str, Callable[..., Any]] = {CHECK: check_contents, TO_DICOM: label_to_dicom, FROM_DICOM: label_from_dicom}


class RefusedError(RuntimeError):
    """There is no answer; `status` is the one of HTTP for the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Worker:
    """Answers one request after the other in one process, which starts again after it was killed or has crashed.

    Args:
        bundles: folder of each bundle by name, and the folder of the weights that were trained here.
        seconds: longest time for one answer, and for waiting until it is a request's turn.
        memory_gib: most memory that the process may ask for (not on Windows).
    """

    def __init__(self, bundles: Mapping[str, tuple[Path, Path]], seconds: float, memory_gib: float) -> None:
        self.bundles, self.seconds, self.memory_gib = dict(bundles), seconds, memory_gib
        self.process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._turn = threading.Lock()

    def start(self) -> dict[str, str]:
        """Start the process and load every bundle; return why some cannot be used, by name.

        Raises:
            RuntimeError: if the process ends before it is ready.
        """
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        arguments = (other, self.bundles, self.memory_gib)
        self.process = context.Process(target=_serve, args=arguments, daemon=True, name="bundles")
        self.process.start()
        other.close()
        try:
            if self._connection.poll(STARTED_WITHIN_S):
                return self._connection.recv()
        except (EOFError, OSError):
            pass
        self.stop()
        raise RuntimeError("the process that computes did not start; its reason stands above, see --max-memory-gib too")

    def stop(self) -> None:
        """Kill the process."""
        if self.process is not None and self._connection is not None:
            self.process.kill()
            self.process.join()
            self._connection.close()
        self.process = self._connection = None

    def infer(self, bundle: str, image: Path, folder: Path, number: int, settings: Mapping[str, Any]) -> Answer:
        """Return the answer of :meth:`ServedBundle.infer` of that bundle.

        Raises:
            RefusedError: with the reason, if there is none.
        """
        return Answer(*self._ask(bundle, image, folder, number, dict(settings)))

    def do(self, task: str, file: Path, *arguments: Any) -> Any:
        """Return what one of :data:`TASKS` makes of a file that a client has sent or an archive has given.

        Raises:
            RefusedError: with the reason, if it is not taken.
        """
        return self._ask(task, file, *arguments)[0]

    def _ask(self, *request: Any) -> list[Any]:
        if not self._turn.acquire(timeout=self.seconds):
            raise RefusedError(BUSY, f"the requests before this one took more than {self.seconds:g} s")
        try:
            kind, *content = self._asked(request)
        finally:
            self._turn.release()
        if kind == "answer":
            return content
        raise RefusedError(*content)

    def _asked(self, request: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.process is None or not self.process.is_alive():
            self.stop()
            self.start()
        process, connection = self.process, self._connection
        if process is None or connection is None:
            raise RuntimeError("the process that computes is gone")
        try:
            connection.send(request)
            if connection.poll(self.seconds):
                return connection.recv()
            reason = f"{request[1].name}: no answer within {self.seconds:g} s; see --max-seconds"
        except (EOFError, OSError):
            process.join(5)
            reason = f"{request[1].name}: the process that computes ended ({process.exitcode}); the file may be damaged"
        logger.error(reason)
        self.stop()
        return "refused", UNUSABLE, reason


def limit_memory(gib: float) -> None:
    """Let this process, and those it starts, ask for no more memory than that."""
    if resource is None:
        logger.warning("no limit of memory on this system")
        return
    limit = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def innermost_reason(error: BaseException) -> BaseException:
    """Return the error of ours that MONAI has wrapped; without one, the innermost."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return next((link for link in chain if isinstance(link, EXPECTED)), chain[-1])


def _serve(connection: Connection, bundles: Mapping[str, tuple[Path, Path]], memory_gib: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server's to handle
    limit_memory(memory_gib)
    served: dict[str, ServedBundle] = {}
    broken: dict[str, str] = {}
    for name, folders in bundles.items():
        try:
            served[name] = ServedBundle(*folders)
            served[name].load()
        except Exception as error:  # one broken bundle never takes the others down
            broken[name] = str(innermost_reason(error)) or type(error).__name__
    connection.send(broken)
    while True:
        try:
            name, *request = connection.recv()
        except (EOFError, OSError):
            return  # the server is gone
        connection.send(_attempt(served, name, request))


def _attempt(served: Mapping[str, ServedBundle], name: str, request: list[Any]) -> tuple[Any, ...]:
    try:
        if name in TASKS:
            return "answer", TASKS[name](*request)
        return "answer", *served[name].infer(*request)
    except Exception as error:
        reason = innermost_reason(error)
        if isinstance(reason, FileNotFoundError):
            return "refused", NO_WEIGHTS, str(reason)
        if isinstance(reason, ValueError):
            return "refused", UNUSABLE, str(reason)
        logger.exception("%s: no answer for %s", name, request[0])
        return "refused", UNUSABLE, f"{request[0].name}: {type(reason).__name__}: {str(reason)[:500]}"
