from common.commands import terminal
from common.commands.jobs import Job
from common.commands.terminal import fraction_done, progress


def logged(tmp_path, text):
    (tmp_path / "log.txt").write_text(text)
    return fraction_done(tmp_path / "log.txt")


def test_a_job_is_as_far_as_the_last_bar_in_its_log_says(tmp_path):
    # As ignite and tqdm write them: two of three epochs, and a quarter of the third; 8 of 10 cases.
    bars = "fit [1/3]: [60/60] 100%|####|\rfit [3/3]: [15/60]  25%|#   | [00:03<00:09]"
    assert logged(tmp_path, bars) == (2 + 0.25) / 3
    assert logged(tmp_path, "simulating:  80%|####  | 8/10 [00:01<00:00]") == 0.8
    assert logged(tmp_path, "no bar yet") == 0
    assert fraction_done(tmp_path / "nothing.txt") == 0


def test_without_a_terminal_it_is_said_how_far_a_simulation_is(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(terminal, "_TOLD_EVERY_SECONDS", 0.01)
    job, said = Job("data", "k", tmp_path, title="Simulated cases"), ""
    job.folder.mkdir()
    job.log.write_text("simulating:  80%|####  | 8/10 [00:01<00:00]")
    with progress({"k": job, "l": job._replace(key="l")}, lambda job: job.title):
        while "\n" not in said:
            said += capfd.readouterr().out
    assert said.splitlines()[0] == "   Simulated cases: 80%, 1 more beside it"


def test_a_short_job_is_not_talked_about(tmp_path, capfd):
    with progress({"k": Job("training", "k", tmp_path)}, lambda job: job.stage):
        pass
    assert capfd.readouterr() == ("", "")
