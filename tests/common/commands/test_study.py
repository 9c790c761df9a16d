import csv
import json
import math
import re

import pytest

from common.commands.executors import executor_of
from common.commands.jobs import Job, run_jobs
from common.commands.study import in_words, reason, seconds_left, study
from common.commands.study_file import read_study
from common.commands.study_plan import Limits, StudyPlan
from common.errors import NoDataError, OutputFolderError, StudyError
from common.files import write_json
from tests.common.commands.toy import STUDY, change_study, write_bundle
from tests.full_disk import full_disk


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The toy bundle, and `cohort` with one table beside it."""
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "labels.csv").write_text("case,ef\n101,45\n")
    monkeypatch.setattr("common.commands.study_file.installed_bundles_folder", lambda: tmp_path / "bundles")
    return write_bundle(tmp_path / "bundles" / "toy")


@pytest.fixture
def run(toy, tmp_path):
    """Runs the study and returns status and jobs as the table of jobs has them."""

    def function(**limits):
        outcome = study("toy", "table", tmp_path / "out", tmp_path / "cohort", Limits(**limits))
        return outcome.status, rows(tmp_path / "out" / "toy" / "table" / "jobs.csv")

    return function


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def times_run(tmp_path):
    """Folder of each job -> how often it was run, by its log."""
    logs = (tmp_path / "out" / "toy" / "jobs").glob("*/log.txt")
    return {log.parent.name: sum(line.startswith("$ ") for line in log.read_text().splitlines()) for log in logs}


def test_stages_that_arms_share_run_once_and_finished_jobs_never_again(run, tmp_path, capsys):
    status, jobs = run()
    assert status == 0
    # two folds: one pretraining, one training, and an evaluation for each of the two arms
    assert "8 jobs, 0 done already; to do: 2 pretraining, 2 training, 4 evaluation" in capsys.readouterr().out
    assert len(jobs) == 12 and len({job["folder"] for job in jobs}) == 8
    assert set(times_run(tmp_path).values()) == {1}
    run()
    assert "8 jobs, 8 done already\n" in capsys.readouterr().out
    assert set(times_run(tmp_path).values()) == {1}


def test_one_line_a_job_and_what_is_left_after_the_first(run, capsys):
    run(arms=["good"], folds=[0])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert [line.split(":")[0] for line in lines] == [
        f"[{n}/3] {stage}, fold 0, seed 0" for n, stage in enumerate(STUDY["stages"], 1)
    ]
    assert ["to go" in line for line in lines] == [True, True, False]


def test_the_cases_of_all_folds_are_scored_together_beside_the_published_figure(run, tmp_path):
    run()
    folder = tmp_path / "out" / "toy" / "table"
    table = {row["arm"]: row for row in rows(folder / "table.csv")}
    assert {arm: row["MAE"] for arm, row in table.items()} == {"good": "4.0", "bad": "4.666667", "others": ""}
    assert {arm: row["MAE published"] for arm, row in table.items()} == {"good": "5.29", "bad": "", "others": "6.5"}
    assert table["good"]["MAE count"] == "3"
    cases = rows(folder / "cases.csv")
    assert [(row["arm"], row["fold"], row["case"]) for row in cases if row["arm"] == "bad"] == [
        ("bad", "0", "101"),
        ("bad", "0", "102"),
        ("bad", "1", "103"),
    ]
    text = (folder / "table.md").read_text()
    assert "|  | MAE | published |" in text and "| good | 4 [" in text and "| others |  | 6.5 |" in text


def test_folds_are_averaged_where_the_paper_does_with_t_intervals(toy, run, tmp_path):
    change_study(toy, average="folds", differences=True, seeds=[0, 1])
    run()
    table = {row["arm"]: row for row in rows(tmp_path / "out" / "toy" / "table" / "table.csv")}
    # means of 2 and 8 in the folds, for both seeds: a standard deviation of sqrt(12), t of 3 degrees of freedom 3.18245
    arm = 3.18245 * math.sqrt(12 / 4)
    found = [float(table["good"][f"MAE{end}"]) for end in ("", " low", " high", " count")]
    assert found == pytest.approx([5, 5 - arm, 5 + arm, 4], abs=1e-4)
    assert float(table["good - bad"]["MAE"]) == pytest.approx(-0.5)  # by fold: 2 - 3 and 8 - 8


@pytest.mark.parametrize(("folds", "mean"), [([0, 1], "5.0"), ([1], "8.0")], ids=["two folds", "one case"])
def test_fewer_than_three_values_have_no_interval(toy, run, tmp_path, folds, mean):
    change_study(toy, average="folds", differences=True)
    run(folds=folds)
    folder = tmp_path / "out" / "toy" / "table"
    for row in rows(folder / "table.csv")[:3]:
        assert (row["MAE low"], row["MAE high"], row["MAE count"]) == ("", "", str(len(folds)))
    text = (folder / "table.md").read_text()
    assert rows(folder / "table.csv")[0]["MAE"] == mean and f"| good | {mean[0]} [n {len(folds)}] | 5.29 |" in text
    assert "No interval for fewer than 3 values" in text


def test_what_a_figure_lacks_stands_below_the_table_with_the_reason(toy, run, tmp_path, capsys):
    metrics = {"r": "correlation, Good and Medium", "MAE": "MAE (EF points), Good and Medium", "P": "MAE, Poor"}
    change_study(toy, average="folds", metrics=metrics)
    run()
    # The one case of fold 1 has no correlation; no case is poor.
    said = ["r: 1 of 2 values missing (fold 1, seed 0), undefined for its cases and predictions: good; bad."]
    said += ["P: 2 of 2 values missing, no case for it: good; bad."]
    lines = capsys.readouterr().out.splitlines()
    assert [f"   {text}" for text in said] == lines[-3:-1]
    scores = [re.search(r" s, (\w+ \d+)", line) for line in lines if "] evaluation" in line]
    assert [score[1] for score in scores] == ["r 1", "r 1", "MAE 8", "MAE 8"], "the first that all so far have"
    folder = tmp_path / "out" / "toy" / "table"
    for name in ("table.md", "report.html"):
        assert all(text in (folder / name).read_text() for text in said)
    assert rows(folder / "table.csv")[0]["r count"] == "1", "of several runs it counts runs, not the cases of one"


def test_runs_without_evaluation_are_counted_below_the_table(toy, run, tmp_path):
    path, fails = toy / "configs" / "evaluate.json", "$[][3] if @kind == 'bad' else 0"
    path.write_text(path.read_text().replace('"evaluating": ["', f'"evaluating": ["{fails}", "'))
    run()
    text = (tmp_path / "out" / "toy" / "table" / "table.md").read_text()
    assert "- bad: 2 of 2 runs not scored, as jobs have not finished (jobs.csv).\n" in text and "- good" not in text


def test_headings_that_lead_come_first_in_the_terminal_if_every_arm_has_them(toy, run, tmp_path, capsys):
    metrics = {"P": "MAE, Poor", "r": "correlation, Good and Medium", "MAE": "MAE (EF points), Good and Medium"}
    change_study(toy, metrics=metrics, leading=["MAE"])
    run()
    shown = capsys.readouterr().out
    assert "evaluation, good, fold 0, seed 0" in shown and ", r " not in shown
    assert "others" not in shown, "rows of the paper alone have no figures of one's own"
    assert [line.split() for line in shown.splitlines() if line.startswith("         ")] == [["MAE", "r"]]
    assert (tmp_path / "out" / "toy" / "table" / "table.md").read_text().count("|  | P | r | MAE | published |") == 1


def test_the_seed_is_said_where_several_were_chosen(toy, run, capsys):
    content = {key: value for key, value in STUDY.items() if key != "folds"}
    (toy / "studies" / "table.json").write_text(json.dumps(content))
    run(arms=["good"])
    assert "] evaluation:" in capsys.readouterr().out
    run(arms=["good"], seeds=[0, 1])
    assert "] evaluation, seed 1:" in capsys.readouterr().out


def test_each_stage_begins_with_the_models_of_the_one_before_and_an_evaluation_has_none(run, tmp_path):
    _, jobs = run(arms=["good"], folds=[1])
    work = tmp_path / "out" / "toy" / "jobs"
    pretraining, training, evaluation = (work / job["folder"] for job in jobs)
    assert json.loads((training / "models" / "model.pt").read_text())["found"] == ["pretrained.pt"]
    assert [path.name for path in (pretraining / "models").iterdir()] == ["pretrained.pt"]
    assert not (evaluation / "models").exists()
    command = json.loads((evaluation / "job.json").read_text())["command"]
    assert f"--model_dir {training}/models" in command and "--method model" in command
    assert "--resume auto" in json.loads((training / "job.json").read_text())["command"]


def test_a_failed_job_keeps_its_traceback_spares_other_arms_and_is_tried_again(toy, run, tmp_path, capsys):
    path = toy / "configs" / "evaluate.json"
    whole = path.read_text()
    path.write_text(whole.replace('"evaluating": ["', '"evaluating": ["$[][3] if @kind == \'bad\' else 0", "'))
    status, jobs = run(folds=[0])
    assert status == 1
    shown = capsys.readouterr().out
    assert "FAILED, " in shown and "1 of 4 jobs did not finish" in shown
    (failed,) = [job for job in jobs if job["finished"] == "False"]
    log = tmp_path / "out" / "toy" / "jobs" / failed["folder"] / "log.txt"
    assert "list index out of range" in log.read_text() and str(log) in shown
    table = {row["arm"]: row["MAE"] for row in rows(tmp_path / "out" / "toy" / "table" / "table.csv")}
    assert table["good"] == "2.0" and table["bad"] == ""


def test_what_needs_a_failed_job_is_left_out(toy, run, capsys):
    path = toy / "configs" / "train.json"
    path.write_text(path.read_text().replace('"pretraining": ["', '"pretraining": ["$[][3]", "'))
    status, jobs = run(folds=[0], arms=["good"])
    assert status == 1
    assert [job["finished"] for job in jobs] == ["False", "False", "False"]
    assert capsys.readouterr().out.count("left out, because what it needs failed") == 2


def keys(tmp_path, cohort="cohort", **limits):
    plan = StudyPlan("toy", "table", tmp_path / "jobs", tmp_path / cohort, Limits(**limits))
    return [job.key for job in plan.jobs()]


def test_a_key_covers_settings_labels_and_configs_and_not_where_the_data_lie(toy, tmp_path):
    first = keys(tmp_path)
    (tmp_path / "cohort").rename(tmp_path / "moved")
    assert keys(tmp_path, "moved") == first
    assert not set(keys(tmp_path, "moved", settings={"max_epochs": 3})) & set(first)
    (tmp_path / "moved" / "labels.csv").write_text("case,ef\n101,54\n")  # of the same size
    assert not set(keys(tmp_path, "moved")) & set(first)
    (tmp_path / "moved" / "labels.csv").write_text("case,ef\n101,45\n")
    assert keys(tmp_path, "moved") == first
    evaluate = toy / "configs" / "evaluate.json"
    evaluate.write_text(evaluate.read_text().replace("41", "42"))
    assert [new == old for new, old in zip(keys(tmp_path, "moved"), first, strict=True)] == (
        [True, True, False, False, True, True, False, False]
    )


def test_an_input_counts_by_its_content(toy, tmp_path):
    arms = {"good": {"stages": ["training", "evaluation"], "settings": {"start": "{start}"}, "needs": ["start"]}}
    change_study(toy, arms=arms, inputs={"start": {"what": "published weights"}})
    (tmp_path / "a.pt").write_bytes(b"1")
    (tmp_path / "b.pt").write_bytes(b"1")
    first = keys(tmp_path, inputs={"start": str(tmp_path / "a.pt")})
    assert keys(tmp_path, inputs={"start": str(tmp_path / "b.pt")}) == first
    (tmp_path / "b.pt").write_bytes(b"2")
    assert not set(keys(tmp_path, inputs={"start": str(tmp_path / "b.pt")})) & set(first)


def test_arms_that_need_an_input_are_named_and_left_out_without_it(toy, run, tmp_path, capsys):
    needy = {"stages": ["training", "evaluation"], "settings": {"start": "{start}"}, "needs": ["start"]}
    inputs = {"start": {"what": "published weights"}}
    change_study(toy, arms={**STUDY["arms"], "started": needy}, inputs=inputs)
    run(folds=[0])
    assert "started: left out, needs --input start=PATH (published weights)" in capsys.readouterr().out
    with pytest.raises(StudyError, match=r"add --input start=PATH \(published weights\)"):
        run(arms=["started"])
    with pytest.raises(NoDataError, match="expected published weights, found no such file"):
        run(inputs={"start": "nowhere.pt"})
    (tmp_path / "a.pt").write_bytes(b"1")
    _, jobs = run(arms=["started"], folds=[0], inputs={"start": str(tmp_path / "a.pt")})
    model = tmp_path / "out" / "toy" / "jobs" / jobs[0]["folder"] / "models" / "model.pt"
    assert json.loads(model.read_text())["start"] == str(tmp_path / "a.pt")


def test_max_epochs_is_an_upper_limit_and_other_settings_are_as_typed(toy, tmp_path):
    def epochs(name="max_epochs", **limits):
        plan = StudyPlan("toy", "table", tmp_path / "jobs", tmp_path / "cohort", Limits(arms=["good"], **limits))
        return [job.overrides.get(name) for job in plan.runs[0].jobs[:2]]

    assert epochs() == [None, 5]
    assert epochs(max_epochs=7) == [7, 5]
    assert epochs(settings={"max_epochs": 7}) == [7, 7]
    assert epochs("val_interval", max_epochs=3) == [3, 3], "each training has a validation, which keeps its model"


def test_a_limited_study_says_so_in_its_table_and_in_the_terminal(run, tmp_path, capsys):
    run(seeds=[0], max_epochs=7)
    said = "Limited run, unlike this description: seeds 0; at most 7 epochs."
    assert Limits(arms=["a, b", "c"], max_epochs=1).in_words() == 'arms "a, b", "c"; at most 1 epoch'
    assert said in capsys.readouterr().out
    (table,) = tmp_path.rglob("table.md")
    assert said in table.read_text()
    run()
    assert "Limited run" not in capsys.readouterr().out


def test_a_stage_by_shipped_weights_takes_them_as_they_are_and_is_left_out_without(toy, tmp_path):
    stages = {**STUDY["stages"], "look": {"run_id": "inferring", "configs": ["train.json"], "shipped": True}}
    arms = {"shipped": {"stages": ["look"]}, **STUDY["arms"]}
    change_study(toy, stages=stages, arms=arms, settings={"start": "s"}, folds=[0])

    def plan():
        return StudyPlan("toy", "table", tmp_path / "jobs", tmp_path / "cohort", Limits(settings={"start": "typed"}))

    assert plan().left_out().keys() == {"shipped"} and "shipped" not in plan().arms
    (toy / "models").mkdir()
    (toy / "models" / "model.pt").write_bytes(b"1")
    first, *others = plan().runs
    assert first.arm == "shipped" and first.scored is None and "start" not in first.jobs[0].overrides
    assert first.jobs[0].models == toy / "models"
    assert all(job.overrides["start"] == "typed" for run in others for job in run.jobs if job.stage == "training")
    (toy / "models" / "model.pt").write_bytes(b"12")
    assert plan().runs[0].jobs[0].key != first.jobs[0].key


def test_an_evaluation_in_the_middle_changes_no_models_and_before_names_those_that_a_stage_starts_from(toy, tmp_path):
    stages = {**STUDY["stages"]}
    stages["training"] = {**stages["training"], "overrides": {"start": "{before}/pretrained.pt"}}
    longer = {"stages": ["pretraining", "evaluation", "training", "evaluation"]}
    arms = {"good": STUDY["arms"]["good"], "longer": longer, "constant": {"of": "good", "method": "constant"}}
    change_study(toy, stages=stages, arms=arms, folds=[0])
    plan = StudyPlan("toy", "table", tmp_path / "jobs", tmp_path / "cohort", Limits())
    good, longer, constant = ({job.key: job for job in run.jobs} for run in plan.runs)
    assert good.keys() == constant.keys() and good.keys() < longer.keys()
    pretraining, training, _ = good.values()
    assert training.overrides["start"] == f"{pretraining.models}/pretrained.pt"


def test_data_like_those_of_another_study_differ_in_what_they_say(toy, tmp_path):
    call = {"_target_": "common.adc.simulate_neonatal_adc", "cases": 4, "seed": 1}
    change_study(toy, data={"data": call})
    other = {**STUDY, "data": {"data": {"like": ["table", "data"], "seed": 2}}}
    (toy / "studies" / "other.json").write_text(json.dumps(other))
    assert read_study("toy", "other")["data"]["data"] == {**call, "seed": 2}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"arms": ["best"]}, "--arms: expected good, bad, found best"),
        ({"folds": [2]}, "--folds: expected 0, 1, found 2"),
        ({"settings": {"batchsize": 1}}, "settings: expected .*, found batchsize"),
        ({"inputs": {"start": "x"}}, "--input: expected .*, found start"),
    ],
)
def test_limits_that_a_study_does_not_have_are_refused(run, limits, message):
    with pytest.raises(StudyError, match=message):
        run(**limits)


def test_folds_of_a_study_without_folds_are_refused(toy, run):
    change_study(toy, folds=[0], arms={"good": STUDY["arms"]["good"]})
    content = json.loads((toy / "studies" / "table.json").read_text())
    del content["folds"]
    (toy / "studies" / "table.json").write_text(json.dumps(content))
    with pytest.raises(StudyError, match="--folds: expected none, as this study has none, found 0"):
        run(folds=[0])


def test_an_unknown_study_is_named_beside_those_there_are_and_missing_data_asked_for(toy, tmp_path):
    with pytest.raises(StudyError, match="expected a study among table, found tabel"):
        StudyPlan("toy", "tabel", tmp_path, tmp_path / "cohort", Limits())
    with pytest.raises(NoDataError, match="--dataset_dir: expected a folder with the cases of table"):
        StudyPlan("toy", "table", tmp_path, None, Limits())


def test_simulated_cases_are_a_job_that_others_wait_for(toy, tmp_path, capsys):
    call = {"_target_": "common.adc.simulate_neonatal_adc", "cases": 1, "size": [32, 36, 4], "progress": False}
    change_study(toy, data={"data": {**call, "spacing_mm": [3.2, 3.2, 20.0]}, "unused": call}, folds=[0])
    assert study("toy", "table", tmp_path / "out").status == 0
    (cases,) = (tmp_path / "out" / "toy" / "jobs").glob("simulate_data-*/output")
    assert len(list((cases / "1ADC_ss").iterdir())) == 1
    assert "5 jobs, 0 done already; to do: 1 simulate data, 1 pretraining" in capsys.readouterr().out
    with pytest.raises(StudyError, match="simulates its cases"):
        study("toy", "table", tmp_path / "out", tmp_path / "cohort")


def test_two_studies_do_not_write_to_one_folder(run, tmp_path):
    from common.data.output import LOCK, held

    with held(tmp_path / "out" / "toy" / LOCK), pytest.raises(OutputFolderError):
        run()


def test_what_is_left_is_counted_by_the_mean_of_each_stage(tmp_path):
    jobs = [Job(stage, f"{n}", tmp_path) for n, stage in enumerate(["a", "a", "a", "b", "c"])]
    for job, seconds in zip(jobs[1:4], (10, 20, 60), strict=True):
        write_json(job.record, {"seconds": seconds})
    assert seconds_left(jobs) == pytest.approx(15 + 30)  # one more of a, and c as long as the mean of the three


def test_durations_are_said_in_the_unit_that_fits():
    assert [in_words(seconds) for seconds in (3.4, 119, 130, 7300, 200000)] == [
        "3 s",
        "119 s",
        "2 min",
        "2 h",
        "2 days",
    ]


def test_a_worker_that_is_killed_takes_no_other_job_down_and_is_replaced(tmp_path):
    waits = {"_target_": "tests.common.commands.toy.take_time"}
    dies = {"_target_": "tests.common.commands.toy.die"}
    phantoms = {"slow": {**waits, "seconds": 8}, "killed": dies, "next": {**waits, "seconds": 0}}
    queued = [Job(name, name, tmp_path, phantom=phantom) for name, phantom in phantoms.items()]
    queued.append(Job("needs killed", "needs", tmp_path, needs=("killed",), phantom=phantoms["next"]))
    with executor_of(2, None) as executor:
        ended = {job.stage: outcome for job, outcome in run_jobs(queued, executor, 2, {})}
    assert isinstance(ended["slow"], float) and isinstance(ended["next"], float) and ended["needs killed"] is None
    assert reason(ended["killed"]) == "its process was killed, perhaps because the memory was full"
    assert [job.stage for job in queued if job.record.is_file()] == ["slow", "next"]


def test_a_full_disk_is_the_reason_of_a_simulation_that_fails_and_no_word_of_a_library(tmp_path):
    call = {"_target_": "common.adc.simulate_neonatal_adc", "cases": 1, "size": [64, 64, 16], "progress": False}
    call["spacing_mm"] = [2.0, 2.0, 5.0]
    job = Job("simulate data", "key", tmp_path, phantom=call)
    with executor_of(1, None) as executor, full_disk(30_000):
        ((_, error),) = run_jobs([job], executor, 1, {})
    assert isinstance(error, Exception) and not job.record.exists()
    assert re.search(r"\.mha: expected to write a whole file, found less on disk; is it full\?$", reason(error))
