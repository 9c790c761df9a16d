"""Plans: simulated data and the stages of a bundle on them, in a JSON file, run through MONAI's own workflow class.

A plan holds `simulate` (a list of phantom calls), `settings` (overrides of every step) and `steps` (in order; name,
title, run id, configs, overrides). `{work}` in any of its strings stands for the folder of the run.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..bundle import BUNDLES_FOLDER, command_line, installed_bundles_folder, run_bundle
from ..files import write_json
from .report import Step

MODEL = "models/model.pt"
NEW, BEGUN, FINISHED = "new", "begun", "finished"
TRAININGS = ("training", "pretraining")  # run ids; they write a history and can be resumed
_CLOCKS = {"seconds": time.perf_counter, "cpu_seconds": time.process_time}


def read_plan(bundle: str, name: str) -> dict[str, Any]:
    """Return the content of the bundle's `configs/NAME.json`."""
    path = installed_bundles_folder() / bundle / "studies" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def filled(value: Any, folder: Path, mark: str = "{work}") -> Any:
    """Return `value` with `mark` replaced by `folder` in all its strings."""
    if isinstance(value, str):
        return value.replace(mark, str(folder))
    if isinstance(value, Mapping):
        return {key: filled(item, folder, mark) for key, item in value.items()}
    return [filled(item, folder, mark) for item in value] if isinstance(value, list) else value


def call_phantom(call: Mapping[str, Any]) -> None:
    """Make the phantom call `call`, a dictionary with `_target_` and arguments."""
    from monai.bundle import ConfigParser

    ConfigParser({"call": dict(call)}).get_parsed_content("call")


def shown_root(bundle: str) -> Path:
    """Return the bundle's folder, short where the working directory is the repository's root."""
    short = Path(BUNDLES_FOLDER) / bundle
    full = installed_bundles_folder() / bundle
    return short if short.resolve() == full.resolve() else full


def say(text: str) -> None:
    """Print `text` at once."""
    print(text, flush=True)  # noqa: T201


class PlanRun:
    """Runs the steps of a plan in order; data are simulated when the first step asks for them.

    What has run with just these settings and this code is not run again; a training that was interrupted goes on after
    its last finished epoch.

    Args:
        bundle: name of the bundle.
        work: folder of the run.
        simulate: the plan's phantom calls; each writes the `directory` that it names.
        settings: overrides of every step, unless the step says `"shipped": true`: such a step uses the weights of the
            bundle as they are, with the settings that they were trained with.
    """

    def __init__(
        self, bundle: str, work: Path, simulate: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
    ) -> None:
        self.root, self.work, self.settings = shown_root(bundle), work, filled(settings, work)
        self.waiting = list(filled(list(simulate), work))
        self.done = _Done(work / ".done.json", bundle)

    def step(self, spec: Mapping[str, Any]) -> Step:
        """Run one step, after the phantom calls whose folders it names, and return what the report shows of it."""
        spec = filled(spec, self.work)
        overrides = self._overrides(spec)
        self._simulate(overrides)
        line = command_line(self.root, spec["run_id"], spec["configs"], overrides)
        with self.done.step(spec["name"], {**spec, **overrides}) as state:
            say(f"-- {spec['title']}\n   $ {line}")
            folder = Path(overrides["output_dir"])
            if state == FINISHED:
                say("   (done already)")
            else:
                again = _taken_up(state, folder) if spec["run_id"] in TRAININGS else {}
                run_bundle(self.root, spec["run_id"], spec["configs"], {**overrides, **again})
        return Step(spec["title"], line, folder, self.done.seconds(spec["name"]))

    def _overrides(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        folders = {"dataset_dir": str(self.work / "data"), "output_dir": str(self.work / spec["name"])}
        if spec.get("shipped"):
            return {**folders, **spec.get("overrides", {})}
        return {**folders, "model_dir": str(self.work / "models"), **self.settings, **spec.get("overrides", {})}

    def _simulate(self, overrides: Mapping[str, Any]) -> None:
        asked = json.dumps(list(overrides.values()))  # also inside an expression
        for call in [call for call in self.waiting if re.search(re.escape(call["directory"]) + r"\b", asked)]:
            self.waiting.remove(call)
            with self.done.step(f"simulate {Path(call['directory']).name}", call) as state:
                if state != FINISHED:
                    say(f"-- simulating cases in {call['directory']}")
                    call_phantom(call)


def _taken_up(state: str, folder: Path) -> dict[str, str]:
    """Return the override that takes up an interrupted training in `folder`; one of other settings is not taken up."""
    if state == NEW:
        (folder / "resume.pt").unlink(missing_ok=True)
        return {}
    say("   (goes on after its last finished epoch)")
    return {"resume": "auto"}


class _Done:
    """Which steps have begun and finished with just these settings and this code, so that a second run is quick."""

    def __init__(self, path: Path, bundle: str) -> None:
        self.path = path
        self.known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.code = _code_hash(bundle)

    @contextmanager
    def step(self, name: str, spec: Any) -> Iterator[str]:
        """Yield the state in which a step is found; note its beginning and, with the seconds it took, its end."""
        self.code = hashlib.sha256((self.code + json.dumps(spec, sort_keys=True)).encode()).hexdigest()
        entry = {"fingerprint": self.code}  # a step that runs again makes every later one run again
        known = self.known.get(name, {})
        state = NEW if known.get("fingerprint") != self.code else FINISHED if "seconds" in known else BEGUN
        began = {clock: read() for clock, read in _CLOCKS.items()}
        if state == NEW:
            self._write(name, entry)
        yield state
        if state != FINISHED:
            self._write(name, {**entry, **{clock: round(read() - began[clock], 1) for clock, read in _CLOCKS.items()}})

    def seconds(self, name: str) -> float:
        return float(self.known[name]["seconds"])

    def took(self) -> dict[str, dict[str, float]]:
        """Return name -> clocks of every step that has finished."""
        finished = {name: entry for name, entry in self.known.items() if entry.keys() >= _CLOCKS.keys()}
        return {name: {clock: entry[clock] for clock in _CLOCKS} for name, entry in finished.items()}

    def _write(self, name: str, entry: dict[str, Any]) -> None:
        self.known[name] = entry
        write_json(self.path, self.known)


def _code_hash(bundle: str) -> str:
    package, root = Path(__file__).resolve().parents[1], installed_bundles_folder() / bundle
    files = [*package.rglob("*.py"), *(root / "configs").glob("*.json"), *(root / "models").glob("*")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
