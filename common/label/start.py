"""`python -m common label`: a MONAI Label server of our bundles, offline; nothing of its own lies in the studies."""

import importlib.util
import os
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from .archive import checked_archive
from .settings import LOOPBACK, PAGES, TOKEN_VARIABLE, ServerSettings, pages_folder

MAIN = "from common.label.app import BundleApp\n\n__all__ = ['BundleApp']\n"
APPLICATION = "common.label.server:application"
FORMER_STATE = "label_server"
AUTHENTICATION = "MONAI_LABEL_AUTH_ENABLE"
CONNECTIONS = 64
EVERYWHERE = ("0.0.0.0", "::")


def start(
    studies: Path | str,
    bundles: Path,
    models: Sequence[str],
    host: str = "127.0.0.1",
    port: int = 8000,
    state: Path | None = None,
    settings: ServerSettings = ServerSettings(),  # noqa: B008
) -> int:
    """Become the server; return 2 with a message if it cannot be started.

    Args:
        studies: folder with images, or the address of an archive's DICOMweb services; nothing is written there unless
            the settings say so.
        bundles: folder with bundles of the repository or unpacked zips.
        models: which of them to serve; all if empty.
        host: address to listen on; the default is this machine alone.
        port: number to listen on.
        state: folder for the app, its logs and the weights that it trains; by default beside the studies.
        settings: what clients may do.
    """
    if reason := _refusal(studies, state, host) or _viewer_refusal(settings):
        print(reason, file=sys.stderr)  # noqa: T201
        return 2
    studies = studies.resolve() if isinstance(studies, Path) else checked_archive(studies)
    state = (state or default_state(Path(studies))).resolve()
    if host not in (*LOOPBACK, *EVERYWHERE):
        settings = settings._replace(origins=(*settings.origins, f"http://{host}:{port}"))
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    (state / "main.py").write_text(MAIN, encoding="utf-8")
    words = [
        sys.executable,
        "-m",
        "common.label.connections",
        "start_server",
        "--app",
        str(state),
        "--studies",
        str(studies),
    ]
    words += ["--uvicorn_app", APPLICATION, "--limit_concurrency", str(CONNECTIONS)]
    words += ["--host", host, "--port", str(port), "--conf", "bundles", str(bundles.resolve())]
    words += ["--conf", "models", ",".join(models)] if models else []
    variables = environment(settings)
    print(f"$ {shlex.join(words)}\n{_told(studies, state, host, port, settings, variables)}", flush=True)  # noqa: T201
    os.chdir(state)  # where nobody else can put a module or a .env
    os.execve(sys.executable, words, variables)


def default_state(studies: Path) -> Path:
    """Return the folder of the server beside the studies."""
    studies = studies.resolve()
    return studies.with_name(f"{studies.name}_label_server")


def environment(settings: ServerSettings) -> dict[str, str]:
    """Return the environment of the server: its settings, its token, this package importable in its processes."""
    here = str(Path(__file__).resolve().parents[2])
    own = {
        "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", "")))),
        "PYTHONSAFEPATH": "1",
        "MONAI_LABEL_SESSIONS": "false",
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
        "MONAI_LABEL_TRACKING_ENABLED": "false",
    }
    token = {} if _has_authentication() else {TOKEN_VARIABLE: secrets.token_urlsafe(32)}
    return {**token, **os.environ, **own, **settings.environment()}


def _refusal(studies: Path | str, state: Path | None, host: str) -> str:
    if isinstance(studies, Path):
        studies, state = studies.resolve(), (state or default_state(studies)).resolve()
        if not studies.is_dir():
            return f"{studies}: expected a folder with images, found none"
        if studies.is_relative_to(state) or state.is_relative_to(studies):
            return f"--state {state}: expected a folder that neither holds the studies nor lies in them ({studies})"
    elif state is None:
        return "--state: expected a folder for weights and logs, found none; studies in an archive need one"
    if host not in LOOPBACK and not _has_authentication():
        return (
            f"--host {host} opens the server to the network, where its token could be read: log users in by a Keycloak "
            f"realm ({AUTHENTICATION}=true, MONAI_LABEL_AUTH_REALM_URI), behind TLS; see common/label/SECURITY.md"
        )
    if importlib.util.find_spec("monailabel") is None:
        return "MONAI Label is not installed; in an environment of its own: pip install -e '.[label]'"
    return ""


def _viewer_refusal(settings: ServerSettings) -> str:
    if not settings.viewer:
        return ""
    if _has_authentication():
        return "--viewer: OHIF's pages log nobody in; they work with the token of this machine, not with a realm"
    if not (pages_folder() / "index.html").is_file():
        return f"--viewer: expected OHIF's pages in {pages_folder()}, found none; install MONAI Label from its wheel"
    return ""


def _has_authentication() -> bool:
    return os.environ.get(AUTHENTICATION, "").lower() in ("1", "true", "yes", "on")


def _told(
    studies: Path | str, state: Path, host: str, port: int, settings: ServerSettings, variables: dict[str, str]
) -> str:
    token = f"?token={variables[TOKEN_VARIABLE]}" if not _has_authentication() else ""
    access = "writable" if settings.writable else "read-only; --writable lets clients add studies and save labels"
    lines = [
        f"  address: http://{f'[{host}]' if ':' in host else host}:{port}/info/{token}",
        f"  OHIF: http://{f'[{host}]' if ':' in host else host}:{port}{PAGES}{token}" if settings.viewer else "",
        "  3D Slicer asks for a user name, which may be any, and a password, which is the token" if token else "",
        f"  studies: {studies} ({access})",
        f"  weights and logs: {state}",
    ]
    former = Path(studies) / FORMER_STATE
    if former.is_dir():
        lines.append(f"  {former} is of an earlier version and not used: move what you need out of the studies")
    return "\n".join(filter(None, lines))
