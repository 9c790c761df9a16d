"""OHIF in the browser: its pages, which come with MONAI Label, and the archive behind them, to be read only."""

# mypy: disallow-untyped-decorators=False

import re
from collections.abc import Sequence
from typing import Any, Literal

import requests
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from .checks import inside
from .settings import PAGES, pages_folder

# What DICOMweb has below its address; no dot leads anywhere, because names of UIDs, frames and services have no two.
_BELOW = re.compile(r"(studies|series|instances)(/[\w,-]+(\.[\w,-]+)*)*")
_SECONDS = 60.0
# OHIF asks for no token: the one in the address of its page goes with every request to this server, and to no other.
_SCRIPT = """<script>
(() => {
  const query = new URLSearchParams(location.search);
  if (query.has("token")) {
    sessionStorage.setItem("token", query.get("token"));
    query.delete("token");
    history.replaceState(null, "", location.pathname + (String(query) && "?" + query));
  }
  const bearer = "Bearer " + sessionStorage.getItem("token");
  const here = (url) => new URL(url, location.href).origin === location.origin;
  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    open.call(this, method, url, ...rest);
    if (here(url)) this.setRequestHeader("Authorization", bearer);
  };
  const ask = window.fetch;
  window.fetch = (resource, options) => {
    const request = new Request(resource, options);
    if (here(request.url)) request.headers.set("Authorization", bearer);
    return ask(request);
  };
  document.cookie = "MONAILABEL_SERVER_URL=" + escape(location.origin + "/") + "; path=/; SameSite=Strict";
})();
</script>"""


def viewer_routes(archive: str, dependencies: Sequence[Any]) -> APIRouter:
    """Return OHIF's pages, which hold nothing of a patient, and reading from the archive.

    Args:
        archive: address of its DICOMweb services.
        dependencies: who may read.
    """
    router, folder = APIRouter(), pages_folder()

    @router.get(PAGES + "{path:path}")
    def page(path: str) -> Response:
        file = folder / path
        if path != "index.html" and file.is_file() and inside(folder, file):
            return FileResponse(file)
        text = (folder / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("<head>", "<head>" + _SCRIPT, 1))

    @router.get("/proxy/dicom/{service}/{path:path}", dependencies=list(dependencies))
    async def read(service: Literal["qido", "wado"], path: str, request: Request) -> Response:
        if not _BELOW.fullmatch(path):
            raise FileNotFoundError("expected studies, series or instances of the archive")
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        accept = {"Accept": request.headers.get("accept", "*/*")}
        reply = await run_in_threadpool(
            requests.get, f"{archive}/{path}", query, headers=accept, timeout=_SECONDS, allow_redirects=False
        )
        return Response(reply.content, reply.status_code, media_type=reply.headers.get("Content-Type"))

    return router
