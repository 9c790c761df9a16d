"""A real archive: Orthanc with its DICOMweb plugin on a free port of 127.0.0.1, asked by standard services."""

import email
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STARTED_WITHIN_S = 60
BOUNDARY = "part-of-a-study"


class Archive:
    """Started with an empty storage in `folder`."""

    def __init__(self, folder):
        orthanc = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
        if orthanc is None or not PLUGIN.is_file():
            pytest.skip("Orthanc or its DICOMweb plugin is not installed (Debian: apt install orthanc-dicomweb)")
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as web, socket.socket() as dimse:
            web.bind(("127.0.0.1", 0))
            dimse.bind(("127.0.0.1", 0))
            port, unused = web.getsockname()[1], dimse.getsockname()[1]
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": port,
            "DicomPort": unused,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.url, self.log = f"http://127.0.0.1:{port}/dicom-web", folder / "orthanc.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([orthanc, str(folder / "orthanc.json")], stdout=log, stderr=log)
        began = time.monotonic()
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() - began < STARTED_WITHIN_S, self.log.read_text()
            time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def answers(self):
        try:
            return self.search("studies") == []
        except OSError:
            return False

    def ask(self, path, body=None, **headers):
        request = urllib.request.Request(f"{self.url}/{path}", body, headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
            return reply.headers["Content-Type"], reply.read()

    def store(self, *files):
        """STOW-RS; returns how many instances were taken."""
        parts = [b"Content-Type: application/dicom\r\n\r\n" + file.read_bytes() for file in files]
        body = (
            b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), part) for part in parts)
            + b"--%s--\r\n" % BOUNDARY.encode()
        )
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        _, answer = self.ask("studies", body, **{"Content-Type": kind, "Accept": "application/dicom+json"})
        content = json.loads(answer)
        assert not content.get("00081198", {}).get("Value"), content  # FailedSOPSequence
        return len(content["00081199"]["Value"])

    def search(self, path, **wanted):
        """QIDO-RS; returns (0008,0060), series and SOP instance UID of what was found, as far as the level has them."""
        query = urllib.parse.urlencode(wanted)
        _, answer = self.ask(f"{path}?{query}", Accept="application/dicom+json")
        return [
            tuple(one.get(tag, {}).get("Value", [None])[0] for tag in ("00080060", "0020000E", "00080018"))
            for one in json.loads(answer or b"[]")
        ]

    def fetch(self, path):
        """WADO-RS; returns the datasets below a path."""
        kind, answer = self.ask(path, Accept='multipart/related; type="application/dicom"; transfer-syntax=*')
        message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer)
        return [pydicom.dcmread(BytesIO(part.get_payload(decode=True))) for part in message.get_payload()]
