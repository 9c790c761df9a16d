"""What a person sees while a study runs: a line for each step, and below it the progress of the one under way."""

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from .jobs import Job

_EVERY_SECONDS = 0.5
_TOLD_EVERY_SECONDS = 60.0
_TAIL_BYTES = 2000
_BAR = re.compile(r"(?:\[(\d+)/(\d+)\]: )?(?:\[\d+/\d+\] +)?(\d+)%\|")  # epochs, where there are some, and percent


def say(text: str) -> None:
    """Print `text` at once, in a terminal in place of a bar that stands there."""
    erase = "\r\x1b[K" if sys.stdout.isatty() else ""
    print(f"{erase}{text}", flush=True)  # noqa: T201


def fraction_done(log: Path) -> float:
    """Return how much of a job is done, 0 to 1, by the last progress bar in its log."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            bars = _BAR.findall(stream.read().decode(errors="ignore"))
    except OSError:  # not begun
        return 0.0
    epoch, epochs, percent = bars[-1] if bars else ("", "", "0")
    part = int(percent) / 100
    return (int(epoch) - 1 + part) / int(epochs) if epoch else part


@contextmanager
def progress(watched: Mapping[str, Job], name: Callable[[Job], str]) -> Iterator[None]:
    """Show a bar for the first of the jobs in `watched`; where there is no terminal, say once a minute how far it is.

    This goes past `sys.stdout` and `sys.stderr`, as a job in this process sends all that it prints to its log.

    Args:
        watched: key -> job of those that are under way.
        name: what a person calls a job.
    """
    show, descriptor = (_draw, 2) if sys.stderr.isatty() else (_tell, 1)
    ended = threading.Event()
    with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as output:
        thread = threading.Thread(target=show, args=(output, watched, name, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _tell(output: TextIO, watched: Mapping[str, Job], name: Callable[[Job], str], ended: threading.Event) -> None:
    while not ended.wait(_TOLD_EVERY_SECONDS):
        jobs = list(watched.values())
        if jobs:
            others = f", {len(jobs) - 1} more beside it" if jobs[1:] else ""
            print(f"   {name(jobs[0])}: {fraction_done(jobs[0].log):.0%}{others}", file=output, flush=True)


def _draw(terminal: TextIO, watched: Mapping[str, Job], name: Callable[[Job], str], ended: threading.Event) -> None:
    bar, shown = None, ""
    while not ended.wait(_EVERY_SECONDS):
        job = next(iter(list(watched.values())), None)
        if bar is not None and (job is None or job.key != shown):
            bar.close()
            bar = None
        if job is None:
            continue
        if bar is None:
            form = "   {desc}: {percentage:3.0f}%|{bar}| {elapsed}"
            bar, shown = tqdm(total=1.0, desc=name(job), file=terminal, leave=False, bar_format=form), job.key
        bar.n = min(1.0, fraction_done(job.log))
        bar.refresh()
    if bar is not None:
        bar.close()
