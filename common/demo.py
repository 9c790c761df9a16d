"""Every stage of a bundle on simulated data, as its `configs/demo.json` says, through MONAI's own workflow class.

`demo.json` holds `simulate` (a list of phantom calls), `settings` (overrides of every step), `steps` (run id, configs,
overrides, in order) and texts for the report. `{work}` in any of its strings stands for the folder of this run.
"""

import ast
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import FailedCasesError
from common.files import write_json
from common.report import Step, evaluation_lines, write_report
from common.workflow import BUNDLES_FOLDER, command_line, installed_bundles_folder, run_bundle


def simulate(bundle: str, directory: Path, settings: Sequence[str]) -> int:
    """Write the phantom of `bundle` to `directory`; `settings` are `--name value` pairs for it. Return the status."""
    call = read_demo(bundle)["simulate"][0]
    arguments = {key: value for key, value in call.items() if not key.startswith("_")}
    _call(call["_target_"], {**arguments, **_pairs(settings), "directory": str(directory)})
    print(f"simulated cases for {bundle} are in {directory}")  # noqa: T201
    return 0


def demo(bundles: Sequence[str], output: Path) -> int:
    """Run the demo of each bundle, print scores and report paths, and return the status."""
    for bundle in bundles:
        _run(bundle, (output / bundle).resolve())
    return 0


def read_demo(bundle: str) -> dict[str, Any]:
    """Return the content of the bundle's `demo.json`."""
    return json.loads((installed_bundles_folder() / bundle / "configs" / "demo.json").read_text(encoding="utf-8"))


def _run(bundle: str, work: Path) -> None:
    root, plan = _shown_root(bundle), read_demo(bundle)
    done = _Done(work / ".done.json", bundle)
    say(f"\n== {bundle}: {plan['title']}\n   {plan['intro']}")
    began = time.perf_counter()
    for call in _filled(plan["simulate"], work):
        target = call.pop("_target_")
        with done.step(f"simulate {call['directory']}", call) as wanted:
            if wanted:
                say(f"-- simulating cases in {call['directory']}")
                _call(target, call)
    steps = []
    for spec in _filled(plan["steps"], work):
        overrides = {
            "dataset_dir": str(work / "data"),
            "model_dir": str(work / "models"),
            "output_dir": str(work / spec["name"]),
            **plan.get("settings", {}),
            **spec.get("overrides", {}),
        }
        line = command_line(root, spec["run_id"], spec["configs"], overrides)
        with done.step(spec["name"], {**spec, **overrides}) as wanted:
            say(f"-- {spec['title']}\n   $ {line}" + ("" if wanted else "\n   (done already)"))
            if wanted:
                _run_step(root, spec, overrides)
        folder = Path(overrides["output_dir"])
        steps.append(Step(spec["title"], line, folder, done.seconds(spec["name"]), spec.get("text", "")))
    report = write_report(work / "report.html", plan, steps)
    for text in evaluation_lines(steps):
        say("   " + text)
    say(f"   {time.perf_counter() - began:.0f} s; report: {report}")


def _run_step(root: Path, spec: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    try:
        run_bundle(root, spec["run_id"], spec["configs"], overrides)
    except FailedCasesError as error:
        if not spec.get("failures_expected"):
            raise
        say(f"   as expected: {error}")


def _shown_root(bundle: str) -> Path:
    """Return the bundle's folder, short where the working directory is the repository's root."""
    short = Path(BUNDLES_FOLDER) / bundle
    full = installed_bundles_folder() / bundle
    return short if short.resolve() == full.resolve() else full


def say(text: str) -> None:
    """Print `text` at once."""
    print(text, flush=True)  # noqa: T201


class _Done:
    """Which steps have run with just these settings and this code, so that a second demo is quick."""

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
        self.began = time.perf_counter()
        return self.wanted

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.wanted:
            seconds = round(time.perf_counter() - self.began, 1)
            self.done.finished[self.name] = {"fingerprint": self.fingerprint, "seconds": seconds}
            write_json(self.done.path, self.done.finished)


def _code_hash(bundle: str) -> str:
    package = Path(__file__).resolve().parent
    files = [*package.rglob("*.py"), *(installed_bundles_folder() / bundle / "configs").glob("*.json")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _call(target: str, arguments: Mapping[str, Any]) -> None:
    from monai.bundle import ConfigParser

    ConfigParser({"call": {"_target_": target, **arguments}}).get_parsed_content("call")


def _filled(value: Any, work: Path) -> Any:
    if isinstance(value, str):
        return value.replace("{work}", str(work))
    if isinstance(value, Mapping):
        return {key: _filled(item, work) for key, item in value.items()}
    return [_filled(item, work) for item in value] if isinstance(value, list) else value


def _pairs(words: Sequence[str]) -> dict[str, Any]:
    """Return `--name value` words as a dictionary, values read as Python literals where they are."""
    if len(words) % 2 or not all(name.startswith("--") for name in words[::2]):
        raise SystemExit(f"expected settings as --name value, found: {' '.join(words)}")
    return {name[2:].replace("-", "_"): _literal(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
