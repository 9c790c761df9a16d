"""A MONAI Label server as a process, asked over HTTP."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import NamedTuple

from tests.bundles.harness import REPOSITORY

STARTED_WITHIN_S = 300
NOWHERE = "http://127.0.0.1:9"  # a proxy that answers nobody: whoever asks the internet fails


class Reply(NamedTuple):
    status: int
    kind: str
    body: bytes

    def json(self):
        assert self.kind.startswith("application/json"), self.body[:500]
        return json.loads(self.body)


def label_python(cache):
    """The Python of an environment with the extra `label`: LABEL_PYTHON, or one made in `cache` (minutes, once)."""
    if "LABEL_PYTHON" in os.environ:
        return os.path.abspath(os.environ["LABEL_PYTHON"])
    python = cache / "venv" / "bin" / "python"
    if not (cache / "complete").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(cache / "venv")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-e", f"{REPOSITORY}[label]"], check=True)
        (cache / "complete").touch()
    return str(python)


def environment():
    site = str(REPOSITORY / "tests" / "bundles" / "label_site")
    proxies = {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": "127.0.0.1"}
    return {**os.environ, **proxies, "PYTHONPATH": os.pathsep.join((site, str(REPOSITORY))), "OMP_NUM_THREADS": "1"}


class Server:
    """Started with `words` after the Python's; `{port}` in them is a free one."""

    def __init__(self, python, words, folder):
        self.python, self.words, self.folder = python, words, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        words = [self.python, *(word.format(port=port) for word in self.words)]
        began = time.monotonic()
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(words, cwd=self.folder, env=environment(), stdout=log, stderr=log)
        while not self.answers():
            late = time.monotonic() - began > STARTED_WITHIN_S
            assert self.process.poll() is None and not late, self.log()
            time.sleep(0.2)
        self.started_in_s = time.monotonic() - began

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def log(self):
        return (self.folder / "server.log").read_text()[-4000:]

    def answers(self):
        try:
            return self.ask("GET", "/info/").status == 200
        except OSError:
            return False

    def ask(self, method, path, body=None, kind="application/json"):
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind} if body else {}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as reply:
                return Reply(reply.status, reply.headers["Content-Type"] or "", reply.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers["Content-Type"] or "", error.read())

    def infer(self, model, image, output="json", **settings):
        query = urllib.parse.urlencode({"image": image, "output": output})
        return self.ask("POST", f"/infer/{model}?{query}", *form(params=json.dumps(settings)))

    def train(self, model, **settings):
        """Start a training, wait for its end and return its task."""
        assert self.ask("POST", f"/train/{model}", json.dumps(settings).encode()).status == 200
        while True:
            task = self.ask("GET", "/train/").json()
            if task["status"] not in ("SUBMITTED", "RUNNING"):
                return task
            time.sleep(0.5)

    def memory_mib(self):
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def form(**fields):
    """Body and content type of a form; a path is sent as a file."""
    boundary = uuid.uuid4().hex
    body = b""
    for name, value in fields.items():
        file = f'; filename="{value.name}"' if isinstance(value, Path) else ""
        content = value.read_bytes() if isinstance(value, Path) else value.encode()
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
