"""What a person is told of a job and of the pictures in its output: what it is, and of which arm, fold and seed."""

from collections.abc import Sequence
from pathlib import Path

from .jobs import Job
from .study_check import listed
from .study_plan import Run, StudyPlan

PICTURES = {
    "agreement": "predicted EF against the reference, case by case",
    "bland_altman_A": "Bland-Altman plot of the A peaks",
    "bland_altman_E": "Bland-Altman plot of the E peaks",
    "cases": "Dice of the model against Dice of the rule, case by case",
    "ef": "predicted EF against the reference, patient by patient",
    "embedding": "embedding of the cases, coloured by EF",
    "grad_cam": "Grad-CAM: where the network looks",
    "history": "loss and scores by epoch",
    "noise": "noised ADC, the noise in it and the noise predicted",
    "profile": "strain of each method along depth",
    "reliability": "reliability: predicted probability against the fraction of patients with HFrEF",
    "restoration": "original, corrupted and restored frames",
    "roc": "ROC curve",
    "strain": "B-mode and the strain of each method, pair by pair",
    "tolerance_sweep": "scores by the tolerance within which a peak counts as found",
}


def caption(plan: StudyPlan, job: Job, picture: Path) -> str:
    """Return what a picture shows, with the stage, arm, fold and seed of its job."""
    shown = PICTURES.get(picture.stem) if job.run_id != "inferring" else f"result of {picture.stem}"
    return f"{shown or picture.stem.replace('_', ' ')} ({whole_label(plan, job)})"


def whole_label(plan: StudyPlan, job: Job) -> str:
    """Return title, arms, fold and seed of a job."""
    users = _users(plan, job)
    arms = list(dict.fromkeys(run.arm for run in users))
    if not users:
        return job.title
    named = f"arm {arms[0]}" if len(arms) == 1 else f"arms {listed(arms)}"
    return f"{job.title}, {named}{_fold(users[0])}, seed {users[0].seed}"


def label(plan: StudyPlan, job: Job) -> str:
    """Return title, arm, fold and seed of a job as far as they tell it from others.

    The arm is said where another one has a job of its own for this stage, the seed where several or some were chosen.
    """
    users = _users(plan, job)
    if not users:
        return job.title
    first = users[0]
    alike = {
        other.key for run in plan.runs for other in run.jobs if other.stage == job.stage and run[1:3] == first[1:3]
    }
    arm = f", {first.arm}" if len(alike) > 1 else ""
    seeds = plan.limits.seeds or plan.content["seeds"][1:] or plan.content.get("folds")
    return f"{job.title}{arm}{_fold(first)}{f', seed {first.seed}' if seeds else ''}"


def _users(plan: StudyPlan, job: Job) -> Sequence[Run]:
    return [run for run in plan.runs if job in run.jobs]


def _fold(run: Run) -> str:
    return "" if run.fold is None else f", fold {run.fold}"
