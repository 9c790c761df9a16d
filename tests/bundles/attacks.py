"""Ways to damage a file, and what an inference over damaged files must not do; for test_attack.py."""

import json
import math
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from common.errors import FailedCasesError
from common.files import read_csv
from tests.bundles.harness import environment, workflow

SEED = int(os.environ.get("ATTACK_SEED", "0"))
BLOCK = 256
# A case gives the same number but for rounding, whatever else is in its batch.
AGREEING = 1e-3


@dataclass
class Tally:
    """Trials of one kind: held are those that were refused by name or gave the result of the undamaged file.

    `changed` are damaged values in a format that has no checksum over them: nobody can tell them from others.
    """

    kind: str
    refused: int = 0
    same: int = 0
    changed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def count(self, trial, refused, problem="", changed=False):
        if problem and changed:
            self.changed.append(f"{trial}: {problem}")
        elif problem:
            self.broken.append(f"{trial}: {problem}")
        elif refused:
            self.refused += 1
        else:
            self.same += 1

    @property
    def tried(self):
        return self.held + len(self.changed) + len(self.broken)

    @property
    def held(self):
        return self.refused + self.same

    def check(self):
        assert self.tried
        assert not self.broken, f"{self.kind}: {len(self.broken)} of {self.tried} did not hold: {self.broken}"


def damages(content, seed, flips=12, cuts=4, blocks=4):
    """Yield (name, bytes): one-bit flips, cuts, blocks of zeros, blocks in each other's place, other content."""
    random = np.random.default_rng([SEED, seed])
    for number in range(flips):
        # The first bytes are a header, which a place drawn from the whole file seldom meets.
        place = int(random.integers(min(len(content), 400) if number % 3 == 0 else len(content)))
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        yield f"flip{number:02d}", bytes(damaged)
    for number in range(cuts):
        yield f"cut{number:02d}", content[: int(random.integers(1, len(content)))]
    yield "lastbyte", content[:-1]
    starts = [
        [int(v) for v in random.choice(len(content) // BLOCK, 2, replace=False) * BLOCK] for _ in range(2 * blocks)
    ]
    for number, (start, _) in enumerate(starts[:blocks]):
        yield f"zeros{number:02d}", content[:start] + bytes(BLOCK) + content[start + BLOCK :]
    for number, (one, two) in enumerate(starts[blocks:]):
        damaged = bytearray(content)
        damaged[one : one + BLOCK], damaged[two : two + BLOCK] = content[two : two + BLOCK], content[one : one + BLOCK]
        yield f"swapped{number:02d}", bytes(damaged)
    yield "empty", b""
    yield "onlyzeros", bytes(len(content))
    yield "otherkind", b"\x89PNG\r\n\x1a\n" + content[8:]
    yield "text", b"not the file that its name says\n" * 40


def infer(bundle, data, output, **settings):
    """Run an inference with the shipped weights; return the rows of predictions.csv and failed.csv by case."""
    settings = {"dataset_dir": str(data), "output_dir": str(output), **settings}
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    try:
        flow.run()
    except RuntimeError as error:
        if not isinstance(error.__cause__, FailedCasesError):
            raise
    return tables(output)


def tables(output):
    found = []
    for name in ("predictions.csv", "failed.csv"):
        rows = read_csv(output / name) if (output / name).is_file() else []
        found.append({row.pop("case"): row for row in rows})
        assert len(found[-1]) == len(rows), f"{name}: a case has two rows"
    return found


def difference(row, expected):
    """Return the columns in which two rows differ in more than rounding, in words; empty if in none.

    The column `mask` holds the name of a file of the case.
    """
    columns = [key for key in expected if key != "mask"]
    return ", ".join(f"{key} {row[key]} for {expected[key]}" for key in columns if not _equal(row[key], expected[key]))


def _equal(one, other):
    try:
        return math.isclose(float(one), float(other), rel_tol=AGREEING, abs_tol=AGREEING)
    except ValueError:
        return one == other


def judge(tally, trials, whole, expected, predictions, failed, checksum=True, **words):
    """Count each trial: refused by one sentence that names it, or the result that the whole file has.

    Args:
        trials: cases that were damaged.
        whole: case that is not damaged.
        expected: its row in a run of its own.
        checksum: whether the format tells damaged values from others.
        words: what the reason must hold instead of the case's name.
    """
    assert whole in predictions, f"{tally.kind}: the undamaged case is lost"
    assert not difference(predictions[whole], expected), f"{tally.kind}: the undamaged case has another result"
    for trial in trials:
        if (trial in predictions) == (trial in failed):
            tally.count(trial, False, "both a result and a failure" if trial in failed else "neither result nor reason")
        elif trial in failed:
            tally.count(trial, True, unclear(failed[trial]["reason"], words.get(trial, trial)))
        else:
            tally.count(trial, False, difference(predictions[trial], expected), changed=not checksum)


def unclear(reason, named):
    """Return what is wrong with the reason of a failure; empty if it is one line that names the file."""
    if named not in reason:
        return f"the reason does not name the file: {reason!r}"
    if "\n" in reason or "Traceback" in reason or len(reason) > 600:
        return f"the reason is no sentence: {reason[:200]!r}"
    return ""


def contents(folder):
    """Return every file below a folder with its bytes, to see whether a run has touched it."""
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def broken_files(folder):
    """Return the files of a folder, as its user's patterns find them, that are not whole."""
    broken = []
    for path in folder.glob("*.*"):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".png":
                Image.open(path).load()
            elif path.suffix == ".mha":
                sitk.ReadImage(str(path))
        except Exception as error:
            broken.append(f"{path.name}: {error}")
    return broken


def show(request, tallies):
    """Write the table of all kinds to the terminal."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    width = max(map(len, (tally.kind for tally in tallies)), default=4)
    lines = ["", f"{'kind':{width}}  tried   held  refused  same result  no checksum  not held"]
    for tally in tallies:
        counts = (tally.tried, tally.held, tally.refused, tally.same, len(tally.changed), len(tally.broken))
        lines.append(f"{tally.kind:{width}}  {counts[0]:5}  {counts[1]:5}  {counts[2]:7}  {counts[3]:11}  "
                     f"{counts[4]:11}  {counts[5]:8}")  # fmt: skip
    total = sum(tally.tried for tally in tallies), sum(tally.held for tally in tallies)
    lines.append(f"{'all':{width}}  {total[0]:5}  {total[1]:5}")
    for line in lines:
        reporter.write_line(line)


def attack(tally, tmp_path, bundle, place, content, checksum=True, seed=1, whole="whole", **settings):
    """Run one inference over the whole file and its damaged copies, which `place` writes under their names."""
    data, alone = tmp_path / "data", tmp_path / "alone"
    place(alone, whole, content)
    place(data, whole, content)
    trials = []
    for name, damaged in damages(content, seed):
        place(data, name, damaged)
        trials.append(name)
    expected = plain(infer(bundle, alone, tmp_path / "expected", **settings)[0])
    before = contents(data)
    predictions, failed = map(plain, infer(bundle, data, tmp_path / "output", **settings))
    assert contents(data) == before, "the input has changed"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "alone", "expected", "output"}
    judge(tally, trials, whole, expected[whole], predictions, failed, checksum)
    tally.check()


def plain(rows):
    """Return rows by the name of the trial, where a case is named by its folder too."""
    return {case.removesuffix("_pair"): row for case, row in rows.items()}


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def named(name):
    """Return a name as the tables show it."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@", "\t", "\r")) else shown


def judge_names(tally, names, output, rows, failed, expected, parent):
    """Count each name: the result of the plain one, or refused with the remedy."""
    for name in names:
        row, reason = rows.get(named(name)), failed.get(named(name), {}).get("reason")
        if row is None:
            tally.count(ascii(name), True, "" if reason and "rename it" in reason else f"no result: {reason}")
        else:
            tally.count(ascii(name), False, difference(row, expected))
    tally.check()
    assert len(rows) + len(failed) == len(names), "a name has given two cases"
    assert len(list(output.glob("*.png"))) == len(rows), "two names have one file"
    read = [json.loads(path.read_text()) for path in output.glob("*.json")]
    assert len([one for one in read if "error" not in one]) == len(rows), "two names have one file"
    for row in (output / "predictions.csv").read_text().splitlines():
        assert not row.startswith(("=", "+", "-", "@")), f"a spreadsheet would take {row} for a formula"
    assert {path.name for path in parent.iterdir()} <= {"data", "output"}, "something was written beside the output"


def explode(tally, tmp_path, bundle, bombs, place, whole, **settings):
    """Run one inference over the file `whole` (name, content) and the bombs: only it has a result."""
    for name, content in {**bombs, whole[0]: whole[1]}.items():
        place(tmp_path / "data", name, content)
    found, failed = infer(bundle, tmp_path / "data", tmp_path / "output", **settings)
    assert set(found) == {"whole"}
    for name in bombs:
        reason = failed.get(name.split(".")[0], {}).get("reason")
        tally.count(name, True, unclear(reason, name) if reason else "neither result nor reason")
    tally.check()


def chain(error):
    while error is not None:
        yield str(error)
        error = error.__cause__ or error.__context__


def loaded(bundle, models):
    """Return the tensors, settings and threshold that an inference takes from a folder of weights."""
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", model_dir=str(models))
    flow.initialize()
    flow.parser.get_parsed_content("load")
    threshold = flow.parser.get_parsed_content("decision").threshold if bundle == "hie_ladp_seg" else None
    network = flow.parser.get_parsed_content("network_def")
    return network.state_dict(), flow.parser.get_parsed_content("trained"), threshold


def kill_a_run(words, folder, table, seconds):
    """Start a run, and kill it that long after it has begun its table."""
    old = file_number(table)
    process = subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and file_number(table) in (None, old):
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.wait()


def file_number(path):
    try:
        return path.stat().st_ino
    except FileNotFoundError:  # also between the results of an earlier run that are put away and the new ones
        return None
