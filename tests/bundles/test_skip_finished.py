"""A batch that was stopped goes on: finished cases stay as they are, and it ends as one that was not stopped."""

import json
import shutil

import pytest

from common.files import read_csv, write_csv
from tests.bundles.harness import BUNDLES, overrides, workflow

each_bundle = pytest.mark.parametrize("bundle", BUNDLES)


def infer(bundle, data, work, models, **settings):
    chosen = overrides(bundle, data, work, model_dir=str(models), **settings)
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **chosen)
    flow.initialize()
    flow.run()
    return work / "output"


def written(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}


@each_bundle
def test_a_stopped_batch_goes_on_and_ends_as_one_that_was_not(bundle, trained, phantom, tmp_path):
    models = trained(bundle) / "models"
    output = infer(bundle, phantom(bundle), tmp_path, models)
    whole = (output / "predictions.csv").read_text()
    rows = read_csv(output / "predictions.csv")
    # As after a kill: no row of the last case, half a JSON of the one before; the file of a third names other weights.
    write_csv(output / "predictions.csv", rows[:-1], list(rows[0]))
    before = written(output)
    names = [name for name in sorted(before) if name != "resume.json"]
    broken, other = output / names[-2], output / names[0]
    broken.write_text(broken.read_text()[:40])
    content = json.loads(other.read_text())
    assert len(content["weights_sha256"]) == 64
    other.write_text(json.dumps({**content, "weights_sha256": "0" * 64}))
    before = written(output)
    infer(bundle, phantom(bundle), tmp_path, models, skip_finished=True)
    assert (output / "predictions.csv").read_text() == whole
    after = written(output)
    assert {name for name in after if after[name] != before.get(name)} == {names[-1], names[-2], names[0]}
    assert json.loads(other.read_text()) == content
    infer(bundle, phantom(bundle), tmp_path, models, skip_finished=True)  # nothing is left to do
    assert written(output) == after and (output / "predictions.csv").read_text() == whole


def test_other_settings_and_other_cases_under_an_anonymous_name_are_done_again(trained, phantom, tmp_path):
    bundle = "cmr_hf_classify"
    models = trained(bundle) / "models"
    output = infer(bundle, phantom(bundle), tmp_path, models, anonymous_names=True)
    first = written(output)
    infer(bundle, phantom(bundle), tmp_path, models, anonymous_names=True, skip_finished=True, batch_size=2)
    assert written(output) == first
    infer(bundle, phantom(bundle), tmp_path, models, anonymous_names=True, skip_finished=True, threshold=0.4)
    second = written(output)
    assert all(second[name] != first[name] for name in first)
    cohort = tmp_path / "cohort"
    shutil.copytree(phantom(bundle), cohort)
    shutil.rmtree(sorted((cohort / "database" / "training").iterdir())[0])  # all others move up by one name
    infer(bundle, cohort, tmp_path, models, anonymous_names=True, skip_finished=True, threshold=0.4)
    third = written(output)
    moved = [row["name"] for row in read_csv(output / "key.csv")]
    assert all(third[f"{name}.json"] != second[f"{name}.json"] for name in moved)
