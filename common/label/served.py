"""A bundle that stays loaded and answers for one case after the other, with what its `inferring` writes."""

import glob
import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from monai.bundle import ConfigParser

from ..errors import UnusableFileError
from ..files import read_csv
from .versions import Versions

Setting = bool | int | float | None

APP = "monai-label"
FAILURES = "failed.csv"
# How much of the machine an answer takes is the server's to say.
RESOURCES = ("num_workers", "batch_size")
# What public clients send with every request, without a meaning here.
CLIENT_NAMES = frozenset(
    {"client_id", "label_info", "result_compress", "result_dtype", "result_extension", "restore_label_idx"}
)
TIMES_THE_DEFAULT = 10
LARGEST = 1e9


class Answer(NamedTuple):
    """What there is to say about a case: plain values, and an image file where the bundle's answer is one."""

    content: dict[str, Any]
    image: Path | None


class ServedBundle:
    """Answers for one file or folder at a time, through the bundle's own `inference.json`.

    The network is built and its weights are read once, and again when other weights lie there. What kind of answer the
    bundle gives stands in its `metadata.json` under `supported_apps`: `type`, `labels`, `dimension`, `image` (which of
    the written images is the answer, by the end of its name) and `training` (whether it learns from labels).

    Args:
        root: folder of the bundle, in a checkout or unpacked.
        own_models: folder for weights trained from labels, which go before the bundle's own once they are in use.

    Raises:
        UnusableFileError: if the metadata is damaged or does not say what kind of answer the bundle gives.
    """

    def __init__(self, root: str | os.PathLike[str], own_models: str | os.PathLike[str] | None = None) -> None:
        self.root = Path(root).resolve()
        self.name = self.root.name
        self.metadata = _read_json(self.root / "configs" / "metadata.json")
        self.kind: Mapping[str, Any] = self.metadata.get("supported_apps", {}).get(APP, {})
        if "type" not in self.kind:
            raise UnusableFileError(
                f"{self.root / 'configs' / 'metadata.json'}: expected supported_apps with {APP} and its type, "
                f"found {self.metadata.get('supported_apps')}"
            )
        self.versions = None if own_models is None else Versions(Path(own_models))
        self._parser: ConfigParser | None = None
        self._loaded: tuple[Any, ...] = ()
        self._one_at_a_time = threading.Lock()

    @property
    def learns(self) -> bool:
        """Whether the bundle can be trained from the labels of a server."""
        return bool(self.kind.get("training"))

    @property
    def weights(self) -> Path:
        """The weights in use: a version of `own_models`, or the bundle's."""
        own = None if self.versions is None else self.versions.weights
        return own or self.root / "models" / "model.pt"

    def load(self) -> None:
        """Build the network and read its weights, unless that was done with these weights before.

        Raises:
            Exception: whatever is wrong with the bundle.
        """
        with self._one_at_a_time:
            self._load()

    def settings(self) -> dict[str, Setting]:
        """Return the settings of `inference.json` that are numbers or yes and no, or that are not set there.

        Those that say how much of the machine is taken are left out.
        """
        config = _read_json(self.root / "configs" / "inference.json")
        named = {
            name: value for name, value in config.items() if not name.startswith("_") and not name.endswith(RESOURCES)
        }
        return {name: value for name, value in named.items() if isinstance(value, Setting)}

    def check_settings(self, wanted: Mapping[str, Any]) -> None:
        """Check what a client asks for, before anything is computed.

        Raises:
            ValueError: if a name is none of :meth:`settings`, or a value is not of its kind or in its range.
        """
        known = self.settings()
        if unknown := set(wanted) - set(known) - CLIENT_NAMES - {"number"}:
            found = ", ".join(sorted(unknown))[:200]
            raise ValueError(f"{self.name}: expected some of {', '.join(known)}, number; found {found}")
        _chosen(known, wanted)
        number = wanted.get("number", 0)
        if type(number) is not int or not 0 <= number <= LARGEST:
            raise ValueError(f"number: expected a whole number from 0, found {str(number)[:100]!r}")

    def infer(
        self,
        image: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        number: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Run `inferring` on one case and return what it found; all its files are in `folder`.

        Args:
            image: file or folder, as the bundle's `dataset_dir`.
            folder: empty folder for the results.
            number: which case to take if `image` holds several, such as the pairs of a sequence.
            settings: values for some of :meth:`settings`, for this case alone; other names are ignored.

        Raises:
            UnusableFileError: if the case failed; the message is the one of `failed.csv`.
            ValueError: if a setting is neither a number nor yes or no. Text never gets into a config: it could be code.
            FileNotFoundError: if there are no weights.
        """
        with self._one_at_a_time:
            parser = self._load()
            known = self.settings()
            parser.update(known | _chosen(known, settings or {}))
            # An absolute path begins with no sign that a config would take for an expression.
            parser.update({"dataset_dir": str(Path(image).absolute()), "output_dir": str(Path(folder).absolute())})
            parser.parse()
            try:
                case, cases = _take_one(parser.get_parsed_content("dataset"), number)
                _resolve_settings(parser)
                _run(parser, "inferring", folder)
            finally:
                parser.ref_resolver.reset()  # the case's images are held by what was built for it
        answer = self._answer(Path(folder), case)
        return answer if cases == 1 else answer._replace(content={**answer.content, "number": number, "cases": cases})

    def _load(self) -> ConfigParser:
        weights = self.weights
        if not weights.is_file():
            raise FileNotFoundError(f"{weights}: expected trained weights, found no file; train the bundle first")
        wanted = (weights, weights.stat().st_mtime_ns, weights.stat().st_size)
        if self._parser is None or wanted != self._loaded:
            make_importable(self.root)
            parser = ConfigParser()
            parser.read_config(str(self.root / "configs" / "inference.json"))
            parser.update({"bundle_root": str(self.root), "model_dir": str(weights.parent)})
            network = parser.get_parsed_content("load").eval()
            _run(parser, "initialize")
            parser.update({"network_def": network, "load": None})
            self._parser, self._loaded = parser, wanted
        return self._parser

    def _answer(self, folder: Path, case: str) -> Answer:
        content = _read_json(folder / f"{case}.json")
        ending = self.kind.get("image")
        images = sorted(folder.glob(f"{glob.escape(case)}_{ending}.*")) if ending else []
        return Answer(content, images[0] if images else None)


def _chosen(known: Mapping[str, Setting], wanted: Mapping[str, Any]) -> dict[str, Setting]:
    chosen = {name: value for name, value in wanted.items() if name in known}
    for name, value in chosen.items():
        default = known[name]
        if isinstance(default, bool) and not isinstance(value, bool):
            raise ValueError(f"{name}: expected yes or no, found {value!r}")
        if not isinstance(value, bool | NoneType):
            checked_number(name, value, default)
        elif default is not None and not isinstance(default, bool):
            raise ValueError(f"{name}: expected a number, found {value!r}")
    return chosen


def checked_number(name: str, value: Any, default: float | None) -> Any:
    """Return a value from outside if it is a number as `default` is, and not far beyond it.

    Raises:
        ValueError: if it is not.
    """
    whole = isinstance(default, int)
    expected = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ValueError(f"{name}: expected {expected}, found {str(value)[:100]!r}")
    least, most = (0, TIMES_THE_DEFAULT * default) if default else (-LARGEST, LARGEST)
    if not least <= value <= most:  # NaN is in no range
        raise ValueError(f"{name}: expected {expected} from {least} to {most}, found {str(value)[:100]}")
    return value


def make_importable(root: Path) -> None:
    """Let the package that an unpacked bundle carries (`NAME_common`) be imported."""
    if (root / f"{root.name}_common").is_dir() and str(root) not in sys.path:
        sys.path.append(str(root))


def _take_one(stream: Any, number: int) -> tuple[str, int]:
    """Leave only the case of that number in the stream; return its name and how many there were."""
    items = stream.items()
    if not 0 <= number < len(items):
        raise UnusableFileError(f"{stream.data}: expected a case number from 0 to {len(items) - 1}, found {number}")
    stream.data = [items[number]]
    return str(items[number]["case"]), len(items)


def _resolve_settings(parser: ConfigParser) -> None:
    """Resolve what the weights were trained with, as building the network does: the results name all settings."""
    for name, value in parser.get().items():
        if isinstance(value, str) and value.startswith("$@trained."):
            parser.get_parsed_content(name)


def _run(parser: ConfigParser, run_id: str, folder: str | os.PathLike[str] = "") -> None:
    """Evaluate a list of expressions; a failed case is raised with its own reason."""
    try:
        for index in range(len(parser[run_id])):
            parser.get_parsed_content(f"{run_id}#{index}")
    except Exception as error:
        failures = Path(folder) / FAILURES
        if folder and failures.is_file():
            raise UnusableFileError("; ".join(row["reason"] for row in read_csv(failures))) from error
        raise


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableFileError(f"{path}: expected JSON, found {error}") from error
    return dict(content)
