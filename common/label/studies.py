"""The studies of a server: images in one flat folder, labels in `labels/TAG` below it, and what clients say of them."""

import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files import replacing, write_json
from .checks import checked_name, checked_tag, inside, split_name

logger = logging.getLogger(__name__)

FINAL = "final"


class Studies:
    """Finds images and labels by name, and never anything outside its folder; adds files only if it is writable.

    Args:
        folder: images, each named by its file without the suffix.
        state: folder of the server, for what clients say of labels and for labels that were replaced.
        writable: whether clients may add images and save labels.
    """

    def __init__(self, folder: Path, state: Path, writable: bool = False) -> None:
        self.folder, self.state, self.writable = folder.resolve(), state, writable
        self._one_writes = threading.Lock()
        self._left_out: set[str] = set()

    def list_images(self) -> dict[str, Path]:
        """Return the images by name; what cannot be served is named once in the log."""
        return self._files(self.folder)

    def image(self, name: str, folder: Path | None = None, whole_study: bool = False) -> Path:
        """Return the file of an image.

        Args:
            name: of the image.
            folder, whole_study: of no use here, see :class:`common.label.archive.ArchiveStudies`.

        Raises:
            FileNotFoundError: if there is none of that name.
        """
        found = self.list_images().get(checked_name(name))
        if found is None:
            raise FileNotFoundError(f"{name}: no image of this name among the studies; see /datastore/")
        return found

    def labels(self, tag: str) -> dict[str, Path]:
        """Return the labels with that tag by the name of their image."""
        folder = self.folder / "labels" / checked_tag(tag)
        return self._files(folder) if folder.is_dir() and inside(self.folder, folder) else {}

    def label(self, name: str, tag: str) -> Path:
        """Return the file of a label.

        Raises:
            FileNotFoundError: if there is none.
        """
        found = self.labels(tag).get(checked_name(name))
        if found is None:
            raise FileNotFoundError(f"{name}: no label of this name with the tag {tag}")
        return found

    def check_writable(self) -> None:
        """Check that clients may add files.

        Raises:
            PermissionError: if they may not.
        """
        if not self.writable:
            raise PermissionError("the studies are read-only; start the server with --writable")

    def add_image(self, name: str, sent: Path) -> str:
        """Keep an image under a name that no other has, its own if none is given, and return the name.

        Raises:
            PermissionError: if the studies are read-only.
            FileExistsError: if there is an image of that name.
            ValueError: if the name or the suffix is refused.
        """
        own_name, suffix = split_name(sent.name)
        name = checked_name(name) if name else own_name
        self.check_writable()
        with self._one_writes:
            if name.lower() in (known.lower() for known, _ in self._named(self.folder)):
                raise FileExistsError(f"{name}: there is a study of this name, and none is replaced; choose another")
            _keep(sent, self.folder / f"{name}{suffix}")
        return name

    def save_label(self, name: str, tag: str, sent: Path, info: Mapping[str, Any]) -> str:
        """Keep a label of an image; the one that it replaces goes to the state folder.

        Raises:
            PermissionError: if the studies are read-only.
            FileNotFoundError: if there is no image of that name.
            ValueError: if the name, the tag or the suffix is refused.
        """
        suffix = split_name(sent.name)[1]
        self.image(name)
        self.check_writable()
        with self._one_writes:
            before = self.labels(tag).get(name)
            target = self.folder / "labels" / tag / f"{name}{suffix}"
            if not inside(self.folder, target):
                raise PermissionError(f"{target}: a link leads out of the studies")
            if before is not None:
                replaced = self.state / "replaced_labels" / tag / f"{time.strftime('%Y%m%d-%H%M%S')}-{before.name}"
                replaced.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(before, replaced)
            _keep(sent, target)
            if before is not None and before != target:
                before.unlink()
            write_json(self._info_path(name, tag), {**info, "ts": int(time.time()), "name": target.name})
        return name

    def label_info(self, name: str, tag: str) -> dict[str, Any]:
        """Return what a client said when it saved a label."""
        self.label(name, tag)
        return self._read_info(name, tag)

    def get_image_info(self, name: str) -> dict[str, Any]:
        """Return the file of an image and its time, as MONAI Label's clients ask for them."""
        return _image_info(self.image(name))

    def get_unlabeled_images(self, label_tag: str | None = None, labels: Any = None) -> list[str]:
        """Return the names of the images without a final label; a name of MONAI Label's, asked by its strategies."""
        return sorted(self.list_images().keys() - self.labels(FINAL).keys())

    def status(self) -> dict[str, Any]:
        """Return how many images there are and how many have labels."""
        images = self.list_images()
        counts = {tag: len(self.labels(tag).keys() & images.keys()) for tag in self._tags()}
        return {"total": len(images), "completed": counts.get(FINAL, 0), "label_tags": counts}

    def json(self) -> dict[str, Any]:
        """Return every image with its labels, in the form that MONAI Label's clients read."""
        tags = {tag: self.labels(tag) for tag in self._tags()}
        objects = {
            name: {
                "image": {"ext": path.name[len(name) :], "info": _image_info(path)},
                "labels": {
                    tag: {"ext": found[name].name[len(name) :], "info": self._read_info(name, tag)}
                    for tag, found in tags.items()
                    if name in found
                },
            }
            for name, path in self.list_images().items()
        }
        return {"name": self.folder.name, "description": "", "objects": objects}

    def _tags(self) -> list[str]:
        folder = self.folder / "labels"
        found = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        return sorted(tag for tag in found if _is_tag(tag))

    def _files(self, folder: Path) -> dict[str, Path]:
        found: dict[str, list[Path]] = {}
        for name, path in self._named(folder):
            if inside(self.folder, path):
                found.setdefault(name, []).append(path)
            else:
                self._name_once(path, "a link leads out of the studies")
        for paths in found.values():
            if len(paths) > 1:
                self._name_once(paths[0], f"{paths[1].name} has the same name")
        return {name: paths[0] for name, paths in found.items() if len(paths) == 1}

    def _named(self, folder: Path) -> Iterator[tuple[str, Path]]:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or not path.is_file():
                continue
            try:
                yield split_name(path.name)[0], path
            except ValueError as error:
                self._name_once(path, str(error))

    def _name_once(self, path: Path, reason: str) -> None:
        if str(path) not in self._left_out:
            self._left_out.add(str(path))
            logger.warning("%s is not served: %s", path, reason)

    def _info_path(self, name: str, tag: str) -> Path:
        return self.state / "label_info" / tag / f"{name}.json"

    def _read_info(self, name: str, tag: str) -> dict[str, Any]:
        path = self._info_path(name, tag)
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _image_info(path: Path) -> dict[str, Any]:
    return {"name": path.name, "path": str(path), "ts": int(path.stat().st_mtime)}


def _keep(sent: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(sent, temporary)


def _is_tag(text: str) -> bool:
    try:
        return bool(checked_tag(text))
    except ValueError:
        return False
