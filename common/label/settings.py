"""What a server was started with, handed to its processes by their environment."""

import importlib.util
import json
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

SETTINGS_VARIABLE = "LABEL_SERVER"
TOKEN_VARIABLE = "LABEL_TOKEN"
PAGES = "/ohif/"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ServerSettings(NamedTuple):
    """What the server allows.

    Attributes:
        writable: whether clients may add images to the studies and save labels.
        origins: `scheme://host:port` of web pages, and of this server behind a name, that are allowed besides loopback.
        upload_mib: largest body of a request with files, in MiB.
        seconds: longest time that one answer may take.
        memory_gib: most memory that the process which computes, or a training, may hold, in GiB.
        viewer: address of the archive that OHIF's pages read; they are off without one.
    """

    writable: bool = False
    origins: tuple[str, ...] = ()
    upload_mib: int = 2048
    seconds: float = 600.0
    memory_gib: float = 16.0
    viewer: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names under which the server may be addressed."""
        return (*LOOPBACK, *(urlsplit(origin).hostname or "" for origin in self.origins))

    def environment(self) -> dict[str, str]:
        """Return the variable that :func:`from_environment` reads."""
        return {SETTINGS_VARIABLE: json.dumps(self._asdict())}


def from_environment() -> ServerSettings:
    """Return the settings in the environment of this process; the defaults where there are none."""
    content = json.loads(os.environ.get(SETTINGS_VARIABLE, "{}"))
    return ServerSettings(**content)._replace(origins=tuple(content.get("origins", ())))


def take_token(environment: MutableMapping[str, str]) -> str | None:
    """Return the token in the environment and remove it, so that no process started later sees it."""
    return environment.pop(TOKEN_VARIABLE, None) or None


def checked_origin(text: str) -> str:
    """Return an origin as browsers send it.

    Raises:
        ValueError: if `text` is not `http(s)://host` or `http(s)://host:port`.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or text.count("/") != 2 or "@" in text:
        raise ValueError(f"expected an origin such as https://viewer.example:8443, found {text!r}")
    return text.lower()


def pages_folder() -> Path:
    """Return the folder of OHIF's pages in the package of MONAI Label, whether they are there or not."""
    found = importlib.util.find_spec("monailabel")
    package = (found.submodule_search_locations or [""])[0] if found else ""
    return Path(package, "endpoints", "static", "ohif")
