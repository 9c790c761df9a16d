"""The federated rounds with NVFlare that docs/federated.md of hie_ladp_seg shows, run in its simulator."""

import importlib.util
import json
import re
import sys

import pytest
import torch

from tests.bundles.harness import root, run_command, simulate, smallest, workflow
from tests.bundles.test_federated import BUNDLE
from tests.bundles.test_federated import run as run_here  # noqa: F401  # a fixture

pytestmark = [
    pytest.mark.federated,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not importlib.util.find_spec("nvflare"), reason="nvflare is not installed: extra `federated`"),
]


def block(name):
    page = (root(BUNDLE) / "docs" / "federated.md").read_text()
    return re.search(rf"<!-- {name} -->\n```python\n(.*?)```", page, re.DOTALL).group(1)


def weights_of(path):
    return torch.load(path, weights_only=True)


def test_two_rounds_of_two_sites_give_the_weighted_mean_and_a_model_to_infer_with(run_here, tmp_path):  # noqa: F811
    sizes = {"north": 5, "south": 9}
    cohorts = {name: simulate(BUNDLE, tmp_path / name, seed=seed, cases=sizes[name]) for seed, name in enumerate(sizes)}
    settings = {key: value for key, value in smallest(BUNDLE)["settings"].items() if key != "max_epochs"}
    work = tmp_path / "flare"
    names = {"bundle": str(root(BUNDLE)), "work": str(work), "rounds": 2, "settings": settings}
    names["cohorts"] = {name: str(path) for name, path in cohorts.items()}
    first = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    (tmp_path / "job.py").write_text(first + block("job").split("\n\n", 1)[1])
    (tmp_path / "federated_client.py").write_text(block("client"))
    run_command([sys.executable, "job.py"], tmp_path, timeout=800)

    start, model = weights_of(work / "start.pt"), weights_of(work / "model.pt")
    sent = [weights_of(work / name / "sent_1.pt") for name in sizes]
    assert sent[0]["steps"] != sent[1]["steps"]
    total = sum(answer["steps"] for answer in sent)
    assert start.keys() == model.keys()
    for key, value in model.items():
        assert not torch.equal(value, start[key]), key
        mean = sum(answer["weights"][key].double() * answer["steps"] for answer in sent) / total
        torch.testing.assert_close(value.double(), mean, rtol=1e-6, atol=1e-7)

    here = run_here(cohorts)  # the same rounds, in one process and without NVFlare
    for key, value in model.items():
        torch.testing.assert_close(value, here["weights"][key], rtol=1e-5, atol=1e-6)
    scores = json.loads((work / "scores.json").read_text())
    assert scores.keys() == sizes.keys()
    for name, score in scores.items():
        assert score == pytest.approx(here["scores"][name], abs=1e-6)  # all that is told of the images

    folders = {"dataset_dir": str(cohorts["north"]), "model_dir": str(work), "output_dir": str(tmp_path / "masks")}
    flow = workflow(BUNDLE, ["inference.json"], "inferring", "infer", **folders)
    flow.initialize()
    flow.run()
    results = [json.loads(path.read_text()) for path in (tmp_path / "masks").rglob("*.json")]
    thresholds = [result["threshold"] for result in results if "threshold" in result]
    mean = sum(score["threshold"] for score in scores.values()) / len(scores)
    assert thresholds == [pytest.approx(mean)] * sizes["north"]
