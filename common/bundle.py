"""Where a bundle stands, and how its configs are run in this process."""

import logging
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .command_line import check_command_line as check_command_line
from .errors import UnusableFileError
from .files import read_sealed_json

BUNDLES_FOLDER = "bundles"

logger = logging.getLogger(__name__)


def find_bundle_root(name: str) -> str:
    """Return the folder of bundle `name`.

    In the code that an unpacked bundle carries, that is the bundle around this file; of two copies of one version in
    one process the first, so name the other's `bundle_root`. In a checkout it is looked for from the working directory:
    `bundles/NAME`, `NAME`, or the folder itself.

    Raises:
        FileNotFoundError: if none of them holds the bundle.
    """
    carried = Path(__file__).resolve().parents[1]  # NAME/NAME_common/vVERSION/bundle.py
    if carried.name == f"{name}_common":
        return str(carried.parent)
    here = Path.cwd()
    for folder in (here / BUNDLES_FOLDER / name, here / name, here, installed_bundles_folder() / name):
        if folder.name == name and (folder / "configs" / "metadata.json").is_file():
            return str(folder)
    raise FileNotFoundError(
        f"{here}: expected the bundle {name} here or in {BUNDLES_FOLDER}/{name}, found none; "
        f"run from the repository root or pass --bundle_root /path/to/{name}"
    )


def trained_settings(weights: str | Path) -> dict[str, Any]:
    """Return the settings that the weights in `weights` were trained with, by name; nothing where none are known.

    A training writes them as JSON of the same name beside its weights (`common.training.KeepBest`). Configs ask for a
    setting with the paper's value as default, so that a network of another structure, or one that saw smaller pictures,
    is used as it was trained, and the command line still has the last word.

    Args:
        weights: state dict; it or the JSON beside it may be missing.

    Raises:
        UnusableFileError: if the JSON is damaged, or was edited without removing its digest.
    """
    path = Path(weights).with_suffix(".json") if Path(weights).name else Path()
    if not path.is_file():
        return {}
    content = read_sealed_json(path, "JSON with settings", "download the bundle again, or train again")
    try:
        settings = dict(content["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnusableFileError(f"{path}: expected JSON with settings, found {error!r}; train again") from error
    logger.info(f"{weights} was trained with {settings}")
    return settings


def installed_bundles_folder() -> Path:
    """Return the `bundles` folder beside the package, there in a checkout or an editable install."""
    return Path(__file__).resolve().parent.parent / BUNDLES_FOLDER


def bundle_names() -> list[str]:
    """Return the names of the bundles of this checkout, sorted."""
    return sorted(p.parent.parent.name for p in installed_bundles_folder().glob("*/configs/metadata.json"))


def bundle_roots(folder: str | Path) -> dict[str, Path]:
    """Return name and folder of the bundles in `folder`, sorted; it may be a bundle itself.

    Raises:
        FileNotFoundError: if there is none.
    """
    folders = [Path(folder), *sorted(Path(folder).glob("*"))]
    roots = [path.resolve() for path in folders if (path / "configs" / "metadata.json").is_file()]
    if not roots:
        raise FileNotFoundError(
            f"{folder}: expected bundles (NAME/configs/metadata.json), found none; unpack them there"
        )
    return {root.name: root for root in roots}


def config_paths(bundle_root: str | Path, names: Sequence[str]) -> list[str]:
    """Return the paths of the config files `names` of a bundle; a name with a folder in it is taken as it stands."""
    return [name if "/" in name else str(Path(bundle_root) / "configs" / name) for name in names]


def run_bundle(
    bundle_root: str | Path, run_id: str, configs: Sequence[str], overrides: Mapping[str, Any] | None = None
) -> None:
    """Run `run_id` of a bundle's configs in this process, through MONAI's own workflow class.

    Args:
        bundle_root: folder of the bundle.
        run_id: `training`, `pretraining`, `evaluating`, `inferring` or any other id of the configs.
        configs: file names inside `configs/`, later ones overlaying earlier ones.
        overrides: id-value pairs, as the command line's `--id value`.
    """
    from monai.bundle import ConfigWorkflow

    workflow = ConfigWorkflow(
        config_file=config_paths(bundle_root, configs),
        run_id=run_id,
        workflow_type="infer" if "inference.json" in configs else "train",
        **{"bundle_root": str(bundle_root), **(overrides or {})},
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def command_line(bundle_root: str | Path, run_id: str, configs: Sequence[str], overrides: Mapping[str, Any]) -> str:
    """Return the shell command that does what :func:`run_bundle` does with the same arguments."""
    paths = config_paths(bundle_root, configs)
    config_file = paths[0] if len(paths) == 1 else repr(paths).replace(" ", "")
    words = ["python", "-m", "monai.bundle", "run", run_id, "--config_file", config_file]
    for key, value in {"bundle_root": str(bundle_root), **overrides}.items():
        nothing = "$None" if "#" in key else "None"  # MONAI drops None inside a part of the config
        words += [f"--{key}", nothing if value is None else value if isinstance(value, str) else repr(value)]
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    """Return a word for the shell: in double quotes where it holds single ones, which no single quotes can hold."""
    if "'" not in word or "!" in word:
        return shlex.quote(word)
    escaped = re.sub(r'([\\$`"])', r"\\\1", word)
    return f'"{escaped}"'
