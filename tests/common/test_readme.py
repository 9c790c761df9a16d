"""The documentation names what is there: links, commands, settings, modules; README is short."""

import inspect
import json
import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from common.__main__ import _parser
from common.bundle import bundle_names
from common.commands.simulate import pairs, settings_in_words
from tests.bundles.harness import REPOSITORY, root

README, HOUSE = REPOSITORY / "README.md", REPOSITORY / "common" / "README.md"
PAGES = [README, HOUSE, *sorted((REPOSITORY / "common" / "docs").glob("*.md")), REPOSITORY / ".github/CONTRIBUTING.md"]
each_page = pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(REPOSITORY)) for path in PAGES])


def shell_lines(page):
    """Every line of the page's bash blocks without its comment; `B` is one of the bundles."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines()]


def anchors(page):
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_readme_is_short_and_shows_its_commands_before_its_figures():
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) <= 1100
    assert text.index("python -m common demo") < text.index("<img")
    assert text[: text.index("python -m common demo")].count("\n") < 30, "on the first screen"


def test_the_test_command_is_found_as_ci_looks_for_it():
    words = r"sed -n '/<!-- test command -->/,/^```$/p' README.md | grep -v -e '```' -e '<!--'"
    found = subprocess.run(words, shell=True, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    install = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]'"
    assert found == f"{install} && OMP_NUM_THREADS=1 .venv/bin/pytest -q -n auto\n"


@each_page
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'<img src="([^"]+)"', text):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve()
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_every_verb_of_ours_is_one_with_these_arguments(page):
    for line in shell_lines(page):
        words = shlex.split(line, posix=True)
        if words[1:3] == ["-m", "common"]:
            options, further = _parser().parse_known_args(words[3:])
            known = settings_in_words(options.bundles[0]) if further and options.verb == "simulate" else ""
            if options.verb != "study":  # settings of studies: tests/bundles/test_plans.py
                assert all(f"\n  --{name} " in known for name in pairs(further)), line


@each_page
@pytest.mark.parametrize("bundle", bundle_names())
def test_every_command_names_configs_that_are_there_and_runs_what_they_hold(page, bundle):
    for line in shell_lines(page):
        words = shlex.split(line)
        if words[1:4] != ["-m", "monai.bundle", "run"]:
            continue
        names = re.findall(r"bundles/B/configs/(\w+\.json)", line)
        assert names, line
        config = {}
        for name in names:
            config |= json.loads((root(bundle) / "configs" / name).read_text())
        settings = {word[2:] for word in words if word.startswith("--")} - {"config_file"}
        assert {words[4], *settings} <= config.keys(), line


@pytest.mark.parametrize("bundle", bundle_names())
@pytest.mark.parametrize("name", ["max_epochs", "batch_size", "precision", "resume", "half", "pretrained"])
def test_training_settings_that_the_pages_describe_are_in_every_training(bundle, name):
    assert name in json.loads((root(bundle) / "configs" / "train.json").read_text())


def test_the_house_names_modules_and_what_is_in_them():
    text = HOUSE.read_text(encoding="utf-8")
    found = re.findall(r"`(\w+/\w+|\w+)\.py`(?:, `(\w+)(?:\([^)`]*\))?`)?", text)
    assert len(found) > 10
    for module, name in found:
        path = Path("common", f"{module}.py")
        assert (REPOSITORY / path).is_file(), path
        if name:
            assert hasattr(import_module("common." + module.replace("/", ".")), name), f"{path}: {name}"


def test_the_house_names_transforms_of_the_config_that_it_follows():
    config = (root("hie_ladp_seg") / "configs" / "inference.json").read_text()
    for name in ("LoadVolumed", "CheckAdcPaird", "Orientationd", "NormalizeAdcPaird", "StoredThresholdd", "Invertd"):
        assert name in config and name in HOUSE.read_text(encoding="utf-8"), name
    methods = re.search(r"^\| `adc`(.*)\| one method each: (.*) \|$", HOUSE.read_text(encoding="utf-8"), re.MULTILINE)
    packages, bundles = (["adc", *re.findall(r"`(\w+)`", methods[1])], re.findall(r"`(\w+)`", methods[2]))
    for package, bundle in zip(packages, bundles, strict=True):
        assert bundle in inspect.getdoc(import_module(f"common.{package}"))
