"""A Chromium without a window, driven over WebDriver by nothing but HTTP."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

WAIT_S = 120
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver, section 12: what names an element in JSON
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1600,1000"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--no-proxy-server"),
)


class Browser:
    """Started with a profile of its own; network and console are logged to its folder."""

    def __init__(self, folder):
        driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
        if driver is None or chromium is None:
            pytest.skip("chromium or its driver is not installed (Debian: apt install chromium chromium-driver)")
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.log = folder / "chromedriver.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([driver, f"--port={self.url.rsplit(':')[-1]}"], stdout=log, stderr=log)
        began = time.monotonic()
        while not self._ready():
            assert self.process.poll() is None and time.monotonic() - began < WAIT_S, self.log.read_text()
            time.sleep(0.2)
        options = {"binary": chromium, "args": [*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = ""
        self.session = f"/session/{self.ask('POST', '/session', capabilities={'alwaysMatch': wanted})['sessionId']}"

    def stop(self):
        try:
            self.ask("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait(60)

    def ask(self, method, path, **body):
        content = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(
            self.url + self.session + path, content, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=WAIT_S) as reply:
                return json.loads(reply.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:2000]) from None

    def _ready(self):
        try:
            with urllib.request.urlopen(self.url + "/status", timeout=5) as reply:
                return json.loads(reply.read())["value"]["ready"]
        except OSError:
            return False

    def open(self, address):
        self.ask("POST", "/url", url=address)

    def run(self, script, *arguments):
        """What a script returns that runs in the page."""
        return self.ask("POST", "/execute/sync", script=script, args=list(arguments))

    def find(self, xpath):
        """The first element that an XPath names, once it is there."""
        return self.until(lambda: self.ask("POST", "/elements", using="xpath", value=xpath), xpath)[0][ELEMENT]

    def click(self, xpath):
        self.ask("POST", f"/element/{self.find(xpath)}/click")

    def until(self, found, what):
        """What `found` returns once it is something."""
        began = time.monotonic()
        while not (result := found()):
            assert time.monotonic() - began < WAIT_S, f"{what}: not there; {self.console()[-20:]}"
            time.sleep(0.5)
        return result

    def console(self):
        return [entry["message"] for entry in self.ask("POST", "/se/log", type="browser")]

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))
        return path
