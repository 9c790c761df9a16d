"""What is run of a study: its file, limited by what was typed, as jobs for each arm, fold and seed."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import NoDataError, StudyError
from ..evaluation.evaluation import MODEL
from .carried_package import carried_sources
from .jobs import SCORING, WITHOUT_TRAINING, Job, fingerprint
from .study_check import check_known, listed
from .study_file import read_study, shown_root

Content = Mapping[str, Any]
DATA, BEFORE = "data", "before"
_MARK = re.compile(r"\{(\w+)\}")


@dataclass
class Limits:
    """What a person leaves of a study, and adds to it.

    Args:
        arms, folds, seeds: those to run; empty for all.
        max_epochs: upper limit of the epochs of every training; None for none.
        settings: overrides of every stage that has them.
        inputs: name -> path.
        option: how a person gives an input, before its path.
    """

    arms: Sequence[str] = ()
    folds: Sequence[int] = ()
    seeds: Sequence[int] = ()
    max_epochs: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    option: str = "--input {}="

    def in_words(self) -> str:
        """Return what differs from the whole study; "" if nothing does."""
        kept = {"arms": self.arms, "folds": self.folds, "seeds": self.seeds}
        said = [f"{name} {listed(values)}" for name, values in kept.items() if values]
        epochs = "1 epoch" if self.max_epochs == 1 else f"{self.max_epochs} epochs"
        said += [f"at most {epochs}"] if self.max_epochs else []
        return "; ".join([*said, *(f"{name} = {value}" for name, value in self.settings.items())])


class Run(NamedTuple):
    """One arm, fold (None without folds) and seed with its jobs in order."""

    arm: str
    fold: int | None
    seed: int
    jobs: tuple[Job, ...]

    @property
    def scored(self) -> Job | None:
        """The job whose table has the figures of this run; None where nothing is scored, or not yet."""
        last = next((job for job in reversed(self.jobs) if job.run_id in SCORING), None)
        return last if last and last.record.is_file() else None


class StudyPlan:
    """A study of a bundle, ready to be run.

    Args:
        bundle: name of the bundle.
        name: of the study.
        jobs: folder of all jobs of the bundle.
        dataset_dir: folder of the cases; None where the study simulates them.
        limits: see :class:`Limits`.

    Raises:
        NoDataError: if it needs a file or folder that is not there.
        StudyError: if there is no such study, a limit names what it does not have, or nothing is left of it.
    """

    def __init__(self, bundle: str, name: str, jobs: Path, dataset_dir: Path | None, limits: Limits) -> None:
        self.root, self.name, self.folder = shown_root(bundle), name, jobs
        self.content = read_study(bundle, name)
        self.limits = limits
        if said := limits.in_words():
            self.content["intro"] += f" Limited run, unlike this description: {said}."
        self.configs = {p.name: p.read_text(encoding="utf-8") for p in sorted((self.root / "configs").glob("*.json"))}
        self.code = _hash(carried_sources("".join(self.configs.values())))
        self.inputs = self._inputs()
        self.simulated = {title: self._simulation(title, call) for title, call in self.content.get(DATA, {}).items()}
        self.values = self._values(bundle, dataset_dir)
        self.prints = {title: fingerprint(value) for title, value in self.values.items()}
        self.prints |= {title: job.key for title, job in self.simulated.items()}
        self.arms = self._arms()
        self._check_settings()
        self.runs = list(self._runs())

    def jobs(self) -> list[Job]:
        """Return every job once, those that others need first."""
        data = {job.key: job for job in self.simulated.values()}
        result: dict[str, Job] = {}
        for job in (job for run in self.runs for job in run.jobs):
            result |= {key: data[key] for key in job.needs if key in data}
            result[job.key] = job
        return list(result.values())

    def left_out(self) -> dict[str, list[str]]:
        """Return arms that lack an input or the bundle's weights, with what it is."""
        inputs = self.content.get("inputs", {})
        result = {}
        for arm, spec in self._all():
            missing = [name for name in spec.get("needs", []) if name not in self.limits.inputs]
            if missing:
                result[arm] = [f"{self.limits.option.format(name)}PATH ({inputs[name]['what']})" for name in missing]
            elif self._is_shipped(spec) and not (self.root / "models" / "model.pt").is_file():
                result[arm] = [f"{self.root / 'models' / 'model.pt'}, which is not there"]
        return result

    def _is_shipped(self, arm: Content) -> bool:
        return any(self.content["stages"][stage].get("shipped") for stage in arm["stages"])

    def _all(self) -> list[tuple[str, Content]]:
        names = self.limits.arms or list(self.content["arms"])
        check_known("--arms", names, self.content["arms"])
        return [(name, self.content["arms"][name]) for name in self.content["arms"] if name in names]

    def _arms(self) -> dict[str, Content]:
        left_out = self.left_out()
        arms = {name: spec for name, spec in self._all() if name not in left_out}
        if not arms:
            needed = sorted({text for texts in left_out.values() for text in texts})
            raise StudyError(f"{self.name}: expected what its arms need, found nothing given; add {', '.join(needed)}")
        return arms

    def _simulation(self, title: str, call: Content) -> Job:
        asked = set(_MARK.findall(json.dumps(call)))
        for name in sorted(asked - self.inputs.keys()):
            what = self.content["inputs"][name]["what"]
            raise StudyError(f"{self.name}: expected {what}, found none; add {self.limits.option.format(name)}PATH")
        prints = {name: fingerprint(self.inputs[name]) for name in asked}
        key = _hash({"call": dict(call), "code": self.code} | ({"inputs": prints} if prints else {}))
        return Job(f"simulate {title}", key, self.folder, phantom=_filled(call, self.inputs), title=f"simulate {title}")

    def _inputs(self) -> dict[str, Any]:
        known = self.content.get("inputs", {})
        check_known("--input", self.limits.inputs, known)
        bundle_root = {"bundle": str(self.root.resolve())}
        values = {name: _filled(spec["default"], bundle_root) for name, spec in known.items() if "default" in spec}
        for name, path in self.limits.inputs.items():
            if not Path(path).exists():
                raise NoDataError(
                    f"{self.limits.option.format(name)}{path}: expected {known[name]['what']}, found no such file"
                )
            values[name] = str(Path(path).resolve())
        return values

    def _values(self, bundle: str, dataset_dir: Path | None) -> dict[str, Any]:
        """Return what stands for each mark."""
        values = dict(self.inputs)
        values |= {title: str(job.output) for title, job in self.simulated.items()}
        if self.simulated and dataset_dir is not None:
            raise StudyError(f"--dataset_dir: {self.name} simulates its cases; leave it out")
        if not self.simulated:
            if dataset_dir is None or not dataset_dir.is_dir():
                raise NoDataError(
                    f"{dataset_dir or '--dataset_dir'}: expected a folder with the cases of {self.name}, found none. "
                    f"Simulated cases: python -m common simulate {bundle} DIR"
                )
            values[DATA] = str(dataset_dir.resolve())
        return values

    def _runs(self) -> Iterator[Run]:
        folds, seeds = self.content.get("folds", [None]), self.content["seeds"]
        check_known("--folds", self.limits.folds, self.content.get("folds", []))
        for seed, fold, arm in product(self.limits.seeds or seeds, self.limits.folds or folds, self.arms):
            jobs: list[Job] = []
            for stage in self.arms[arm]["stages"]:
                before = next((job for job in reversed(jobs) if job.run_id not in WITHOUT_TRAINING), None)
                jobs.append(self._job(stage, self.arms[arm], fold, seed, before))
            yield Run(arm, fold, seed, tuple(jobs))

    def _job(self, stage: str, arm: Content, fold: int | None, seed: int, before: Job | None) -> Job:
        spec = self.content["stages"][stage]
        shipped = self.root.resolve() / "models" if spec.get("shipped") else None
        start = before.models if before else shipped
        overrides = self._overrides(spec, arm, fold, seed)
        marks = sorted(set(_MARK.findall(json.dumps(overrides))) & self.values.keys())
        determined_by = {
            "code": self.code,
            "configs": [self.configs[name] for name in spec["configs"]],
            "run_id": spec["run_id"],
            "overrides": {key: fingerprint(value) for key, value in overrides.items()},
            "inputs": {mark: self.prints[mark] for mark in marks},
            "before": before.key if before else fingerprint(str(shipped)),
        }
        needs = [self.simulated[mark].key for mark in marks if mark in self.simulated]
        return Job(
            stage,
            _hash(determined_by),
            self.folder,
            (*needs, before.key) if before else tuple(needs),
            root=self.root,
            run_id=spec["run_id"],
            configs=tuple(spec["configs"]),
            overrides={key: _filled(value, {**self.values, BEFORE: start}) for key, value in overrides.items()},
            start=start,
            title=spec.get("title", stage),
        )

    def _overrides(self, spec: Content, arm: Content, fold: int | None, seed: int) -> dict[str, Any]:
        names, own = self._names(spec), spec.get("overrides", {})
        layers = [self.content.get("settings", {}), own, arm.get("settings", {}), self.limits.settings]
        if spec.get("shipped"):
            layers = [own]
        layers += [{"seed": seed}, {} if fold is None else {"fold": fold}]
        if spec["run_id"] == "evaluating":  # an inference may call something else a method
            layers.append({"method": MODEL})
        if spec["run_id"] not in WITHOUT_TRAINING:
            layers.append({"resume": "auto"})
        merged: dict[str, Any] = {"dataset_dir": f"{{{DATA}}}"}
        for layer in layers:
            merged |= {key: value for key, value in layer.items() if layer is own or key.split("#")[0] in names}
        for key in ("max_epochs", "val_interval"):  # without a validation no model is kept
            usual = merged.get(key, names.get(key))
            if self.limits.max_epochs and isinstance(usual, int):
                merged[key] = min(usual, self.limits.max_epochs)
        return merged

    def _names(self, spec: Content) -> dict[str, Any]:
        """Return the top level of a stage's configs."""
        merged: dict[str, Any] = {}
        for name in spec["configs"]:
            merged |= json.loads(self.configs[name])
        return merged

    def _check_settings(self) -> None:
        stages, names = self.content["stages"], dict[str, list[str]]()
        for stage, spec in stages.items():
            check_known(f"{self.name}: stages: {stage}: configs", spec["configs"], self.configs)
            names[stage] = sorted(self._names(spec))
            named = [spec["run_id"], *_tops(spec.get("overrides", {}))]
            check_known(f"{self.name}: stages: {stage}: run_id and overrides", named, names[stage])
        every = sorted(set().union(*names.values()))
        check_known(f"{self.name}: settings", _tops(self.content.get("settings", {})), every)
        for arm, spec in self.content["arms"].items():
            check_known(f"{self.name}: arms: {arm}: settings", _tops(spec.get("settings", {})), every)
        used = {name for arm in self.arms.values() for stage in arm["stages"] for name in names[stage]}
        check_known("settings", _tops(self.limits.settings), used)


def _tops(settings: Iterable[str]) -> list[str]:
    """Return the top level of each id."""
    return [key.split("#")[0] for key in settings]


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Return `value` with every mark in its strings replaced; a string that is one mark becomes the value itself."""
    if isinstance(value, str):
        whole = _MARK.fullmatch(value)
        if whole and whole[1] in values:
            return values[whole[1]]
        return _MARK.sub(lambda mark: str(values.get(mark[1], mark[0])), value)
    if isinstance(value, Mapping):
        return {key: _filled(item, values) for key, item in value.items()}
    return [_filled(item, values) for item in value] if isinstance(value, list) else value


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=lambda value: hashlib.sha256(value).hexdigest())
    return hashlib.sha256(text.encode()).hexdigest()
