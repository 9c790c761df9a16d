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
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.bundles.harness import REPOSITORY

STARTED_WITHIN_S = 300
NOWHERE = "http://127.0.0.1:9"  # a proxy that answers nobody: whoever asks the internet fails
TOKEN = "token-of-these-tests"


class Reply(NamedTuple):
    status: int
    headers: Mapping
    body: bytes

    @property
    def kind(self):
        return self.headers["Content-Type"] or ""

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
    own = {"PYTHONPATH": os.pathsep.join((site, str(REPOSITORY))), "OMP_NUM_THREADS": "1", "LABEL_TOKEN": TOKEN}
    return {**os.environ, **proxies, **own}


class Server:
    """Started with `words` after the Python's; `{port}` in them is a free one."""

    def __init__(self, python, words, folder, **variables):
        self.python, self.words, self.folder, self.variables = python, words, folder, variables
        self.headers = {"Authorization": f"Bearer {TOKEN}"}
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
            env = environment() | self.variables
            self.process = subprocess.Popen(words, cwd=self.folder, env=env, stdout=log, stderr=log)
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - began > STARTED_WITHIN_S:
                self.stop()
                raise AssertionError(self.log())
            time.sleep(0.2)
        self.started_in_s = time.monotonic() - began

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def log(self):
        return (self.folder / "server.log").read_text()[-4000:]

    def answers(self):
        try:
            return self.ask("GET", "/info/").status in (200, 401)
        except OSError:
            return False

    def ask(self, method, path, body=None, kind="application/json", **headers):
        headers = self.headers | ({"Content-Type": kind} if body else {}) | headers
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as reply:
                return Reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers, error.read())

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

    def workers(self):
        """Identifiers of the processes that the server has started to compute."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(pid) for path in threads for pid in path.read_text().split()]
        return [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def memory_mib(self):
        """Of the server and of the process that computes."""
        total = 0
        for pid in (self.process.pid, *self.workers()):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        return total / 1024


def form(**fields):
    """Body and content type of a form; a path is sent as a file, a pair as one of that name and content."""
    boundary = uuid.uuid4().hex
    body = b""
    for name, value in fields.items():
        if isinstance(value, Path):
            value = (value.name, value.read_bytes())
        file, content = ("", value.encode()) if isinstance(value, str) else (f'; filename="{value[0]}"', value[1])
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
