"""`python -m common label`: a MONAI Label server of our bundles, offline, that keeps everything beside the studies."""

import importlib.util
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

MAIN = "from common.label.app import BundleApp\n\n__all__ = ['BundleApp']\n"
SERVER_FOLDER = "label_server"
# What the bundles read; MONAI Label offers files by the ends of their names.
VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
PICTURES_AND_VIDEOS = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".tif",
    ".tiff",
    ".avi",
    ".mp4",
    ".mov",
    ".mkv",
    ".dcm",
    ".dicom",
)
RADIO_FREQUENCY = (".mat", ".npz", ".npy")
SUFFIXES = (*VOLUMES, *PICTURES_AND_VIDEOS, *RADIO_FREQUENCY)


def start(studies: Path, bundles: Path, models: Sequence[str], host: str = "127.0.0.1", port: int = 8000) -> int:
    """Become the server; return 2 with a message if it cannot be started.

    Args:
        studies: folder with images; labels, logs and weights trained from them are written there too.
        bundles: folder with bundles of the repository or unpacked zips.
        models: which of them to serve; all if empty.
        host: address to listen on; the default is this machine alone.
        port: number to listen on.
    """
    if importlib.util.find_spec("monailabel") is None:
        return _refuse("MONAI Label is not installed; in an environment of its own: pip install -e '.[label]'")
    if not studies.is_dir():
        return _refuse(f"{studies}: expected a folder with images, found none")
    app = studies.resolve() / SERVER_FOLDER
    app.mkdir(exist_ok=True)
    (app / "main.py").write_text(MAIN, encoding="utf-8")
    conf = {"bundles": str(bundles.resolve())} | ({"models": ",".join(models)} if models else {})
    words = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(app), "--studies", str(studies)]
    words += ["--host", host, "--port", str(port)]
    for key, value in conf.items():
        words += ["--conf", key, value]
    print(f"$ {shlex.join(words)}\n  weights and logs: {app}", flush=True)  # noqa: T201
    os.execve(sys.executable, words, environment(app))


def environment(app: Path) -> dict[str, str]:
    """Return the environment of the server: its settings, and this package importable in it and in its trainings."""
    here = str(Path(__file__).resolve().parents[2])
    settings = {
        "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", "")))),
        "MONAI_LABEL_DATASTORE_FILE_EXT": json.dumps([f"*{suffix}" for suffix in SUFFIXES]),
        "MONAI_LABEL_SESSION_PATH": str(app / "sessions"),
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
        "MONAI_LABEL_TRACKING_ENABLED": "false",
    }
    return {**os.environ, **settings}


def _refuse(text: str) -> int:
    print(text, file=sys.stderr)  # noqa: T201
    return 2
