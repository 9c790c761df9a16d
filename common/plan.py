"""Plans: simulated data and the stages of a bundle on them, in a JSON file, run through MONAI's own workflow class.

A plan holds `simulate` (a list of phantom calls), `settings` (overrides of every step) and `steps` (in order; name,
title, run id, configs, overrides). `{work}` in any of its strings stands for the folder of the run.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import write_json
from common.report import Step
from common.workflow import BUNDLES_FOLDER, command_line, installed_bundles_folder, run_bundle

MODEL = "models/model.pt"


def read_plan(bundle: str, name: str) -> dict[str, Any]:
    """Return the content of the bundle's `configs/NAME.json`."""
    path = installed_bundles_folder() / bundle / "configs" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def filled(value: Any, work: Path) -> Any:
    """Return `value` with `{work}` replaced in all its strings."""
    if isinstance(value, str):
        return value.replace("{work}", str(work))
    if isinstance(value, Mapping):
        return {key: filled(item, work) for key, item in value.items()}
    return [filled(item, work) for item in value] if isinstance(value, list) else value


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

    What has run with just these settings and this code is not run again.

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
        with self.done.step(spec["name"], {**spec, **overrides}) as wanted:
            say(f"-- {spec['title']}\n   $ {line}" + ("" if wanted else "\n   (done already)"))
            if wanted:
                run_bundle(self.root, spec["run_id"], spec["configs"], overrides)
        folder = Path(overrides["output_dir"])
        return Step(spec["title"], line, folder, self.done.seconds(spec["name"]))

    def _overrides(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        folders = {"dataset_dir": str(self.work / "data"), "output_dir": str(self.work / spec["name"])}
        if spec.get("shipped"):
            return {**folders, **spec.get("overrides", {})}
        return {**folders, "model_dir": str(self.work / "models"), **self.settings, **spec.get("overrides", {})}

    def _simulate(self, overrides: Mapping[str, Any]) -> None:
        for call in [call for call in self.waiting if call["directory"] in overrides.values()]:
            self.waiting.remove(call)
            with self.done.step(f"simulate {Path(call['directory']).name}", call) as wanted:
                if wanted:
                    say(f"-- simulating cases in {call['directory']}")
                    call_phantom(call)


class _Done:
    """Which steps have run with just these settings and this code, so that a second run is quick."""

    def __init__(self, path: Path, bundle: str) -> None:
        self.path = path
        self.finished: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.code = _code_hash(bundle)

    def step(self, name: str, spec: Any) -> "_StepTimer":
        print_of = hashlib.sha256((self.code + json.dumps(spec, sort_keys=True)).encode()).hexdigest()
        self.code = print_of  # a step that runs again makes every later one run again
        return _StepTimer(self, name, print_of)

    def seconds(self, name: str) -> float:
        return float(self.finished[name]["seconds"])


class _StepTimer:
    def __init__(self, done: _Done, name: str, fingerprint: str) -> None:
        self.done, self.name, self.fingerprint = done, name, fingerprint
        self.wanted = done.finished.get(name, {}).get("fingerprint") != fingerprint

    def __enter__(self) -> bool:
        self.began, self.cpu_began = time.perf_counter(), time.process_time()
        return self.wanted

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.wanted:
            took = {
                "seconds": round(time.perf_counter() - self.began, 1),
                "cpu_seconds": round(time.process_time() - self.cpu_began, 1),
            }
            self.done.finished[self.name] = {"fingerprint": self.fingerprint, **took}
            write_json(self.done.path, self.done.finished)


def _code_hash(bundle: str) -> str:
    package, root = Path(__file__).resolve().parent, installed_bundles_folder() / bundle
    files = [*package.rglob("*.py"), *(root / "configs").glob("*.json"), *(root / "models").glob("*")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
