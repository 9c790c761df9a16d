"""The server's HTTP interface: those addresses of MONAI Label that its clients need, and no other.

MONAI Label's own start command runs `application`. What a client sends is checked before anything is done with it;
MONAI Label's `/info/`, strategies, trainings and logins stand behind.
"""

# mypy: disallow-untyped-decorators=False

import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import requests
import SimpleITK as sitk
from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse, Response
from monailabel.config import settings as monai_label
from monailabel.endpoints.user.auth import RBAC, get_current_user
from monailabel.interfaces.utils.app import app_instance
from monailabel.utils.async_tasks.task import AsyncTask
from monailabel.utils.async_tasks.utils import tasks
from monailabel.utils.others.generic import get_mime_type
from pydantic import AfterValidator
from requests_toolbelt import MultipartEncoder
from starlette.concurrency import run_in_threadpool

from .archive import ArchiveStudies
from .checks import checked_name, checked_tag, read_object, split_name
from .guard import Guard
from .login import login_routes, realm_user
from .served import Answer, ServedBundle
from .settings import PAGES, from_environment, take_token
from .studies import FINAL, Studies
from .training import checked_options
from .viewer import viewer_routes
from .worker import CHECK, FROM_DICOM, TO_DICOM, RefusedError

LOOPBACK_PAGES = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
STATUS = {ValueError: 422, FileNotFoundError: 404, FileExistsError: 409, PermissionError: 403}

USER = Depends(RBAC(monai_label.MONAI_LABEL_AUTH_ROLE_USER))
ANNOTATOR = Depends(RBAC(monai_label.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))
ADMIN = Depends(RBAC(monai_label.MONAI_LABEL_AUTH_ROLE_ADMIN))

Name = Annotated[str, AfterValidator(checked_name)]
Tag = Annotated[str, AfterValidator(checked_tag)]
Params = Annotated[str, Form()]
Upload = Annotated[UploadFile, File()]


class Output(str, Enum):
    """What `/infer/` answers with."""

    image = "image"
    json = "json"
    all = "all"
    dicom_seg = "dicom_seg"


class Listing(str, Enum):
    """What `/datastore/` answers with."""

    stats = "stats"
    all = "all"


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    instance = app_instance()
    instance.server_mode(True)
    instance.on_init_complete()
    yield
    instance.worker.stop()


app = FastAPI(lifespan=_lifespan, openapi_url=None, docs_url=None, redoc_url=None)


async def _json_body(request: Request) -> dict[str, Any]:
    return read_object(await request.body())


def _studies() -> Studies | ArchiveStudies:
    return app_instance().datastore()


@app.get("/info/", dependencies=[USER])
async def info() -> dict[str, Any]:
    """Return the models, what they can be asked for, and how many studies there are."""
    return app_instance().info()


@app.post("/infer/{model}", dependencies=[USER])
async def infer(
    model: str,
    background: BackgroundTasks,
    image: str = "",
    output: Output = Output.all,
    params: Params = "{}",
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Answer for an image of the studies, or for one that is sent and not kept."""
    instance = app_instance()
    bundle, settings = instance.served(model), read_object(params)
    bundle.check_settings(settings)
    if output in (Output.image, Output.dicom_seg) and not bundle.kind.get("image"):
        raise ValueError(f"{model} gives no image; ask for output=json")
    studies = _studies()
    archive = studies if isinstance(studies, ArchiveStudies) and studies.writable and file is None else None
    if archive or output is Output.dicom_seg:
        settings["dicom_results"] = True
    temporary = tempfile.TemporaryDirectory()
    try:
        folder = Path(temporary.name)
        whole = bool(bundle.kind.get("whole_study"))
        find = (studies.image, image, folder / "fetched", whole) if file is None else (_received, file, folder / "sent")
        path = await run_in_threadpool(*find)
        began = time.perf_counter()
        (folder / "answer").mkdir()
        number = settings.pop("number", 0)
        answer = await run_in_threadpool(instance.worker.infer, model, path, folder / "answer", number, settings)
        if archive:
            await run_in_threadpool(archive.store, sorted((folder / "answer" / "dicom").glob("*.dcm")))
        content = _content(bundle, answer, time.perf_counter() - began)
        background.add_task(temporary.cleanup)
        if output is Output.dicom_seg:
            answer = answer._replace(image=next((folder / "answer" / "dicom").glob("*_mask.dcm")))
        elif settings.get("result_extension") == ".nrrd" and answer.image is not None:
            answer = answer._replace(image=_as_nrrd(answer.image))
        return _response(output, content, answer.image)
    except BaseException:
        temporary.cleanup()
        raise


def _as_nrrd(mask: Path) -> Path:
    """Write a mask as OHIF reads it: NRRD of bytes, without compression."""
    target = mask.with_name("mask.nrrd")
    sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(mask)), sitk.sitkUInt8), str(target), useCompression=False)
    return target


def _received(file: UploadFile, folder: Path) -> Path:
    """Write what was sent to a folder of its own, and have the worker look into it."""
    name, suffix = split_name(file.filename or "")
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}{suffix}"
    with path.open("wb") as stream:
        shutil.copyfileobj(file.file, stream)
    app_instance().worker.do(CHECK, path)
    return path


def _add_image(name: str, file: UploadFile) -> str:
    _studies().check_writable()
    with tempfile.TemporaryDirectory() as folder:
        return _studies().add_image(name, _received(file, Path(folder)))


def _save_label(name: str, tag: str, file: UploadFile, said: dict[str, Any]) -> str:
    studies = _studies()
    studies.check_writable()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sent = _received(file, folder / "sent")
        if isinstance(studies, Studies):
            return studies.save_label(name, tag, sent, said)
        series, made = studies.image(name, folder / "fetched"), folder / "label.dcm"
        saved = studies.saved_labels(name, tag)
        if app_instance().worker.do(TO_DICOM, sent, series, made, tag, said, saved):
            studies.store([made])
        return name


def _archived_label(studies: ArchiveStudies, name: str, tag: str, folder: Path) -> Path:
    label, target = studies.label(name, tag, folder), folder / f"{name}.nii.gz"
    app_instance().worker.do(FROM_DICOM, label, studies.image(name, folder / "fetched"), target)
    return target


def _content(bundle: ServedBundle, answer: Answer, seconds: float) -> dict[str, Any]:
    content = {**answer.content, "latencies": {"total": round(seconds, 3)}}
    if isinstance(bundle.kind.get("labels"), Mapping):
        content["label_names"] = bundle.kind["labels"]
    if "probabilities" in content:
        classes = enumerate(content["probabilities"].items())
        content["prediction"] = [{"idx": index, "label": name, "score": p} for index, (name, p) in classes]
    return content


def _response(output: Output, content: dict[str, Any], image: Path | None) -> Response:
    if output is Output.json or image is None:
        return JSONResponse(content)
    if output in (Output.image, Output.dicom_seg):
        return FileResponse(image, media_type=get_mime_type(image), filename=image.name)
    params = JSONResponse(content).body.decode()
    fields = {
        "params": (None, params, "application/json"),
        "image": (image.name, image.read_bytes(), get_mime_type(image)),
    }
    message = MultipartEncoder(fields)
    return Response(message.to_string(), media_type=message.content_type)


@app.get("/datastore/", dependencies=[USER])
async def datastore(output: Listing = Listing.stats) -> dict[str, Any]:
    """Return how many studies there are, or their names."""
    return _studies().json() if output is Listing.all else _studies().status()


@app.get("/datastore/image", dependencies=[USER])
async def image_file(image: Name) -> Response:
    """Return an image."""
    studies = _studies()
    if isinstance(studies, ArchiveStudies):
        raise FileNotFoundError("the archive gives its images itself (WADO-RS)")
    path = studies.image(image)
    return FileResponse(path, media_type=get_mime_type(path), filename=path.name)


@app.get("/datastore/image/info", dependencies=[USER])
async def image_info(image: Name) -> dict[str, Any]:
    """Return the file of an image."""
    return _studies().get_image_info(image)


@app.put("/datastore/", dependencies=[ANNOTATOR])
@app.put("/datastore/image", dependencies=[ANNOTATOR])
async def add_image(file: Upload, image: str = "", params: Params = "{}") -> dict[str, str]:
    """Add an image to the studies, under a name that no other has."""
    read_object(params)
    return {"image": await run_in_threadpool(_add_image, image, file)}


@app.get("/datastore/label", dependencies=[USER])
async def label_file(label: Name, tag: Tag, background: BackgroundTasks) -> Response:
    """Return a label."""
    studies = _studies()
    if isinstance(studies, Studies):
        path = studies.label(label, tag)
        return FileResponse(path, media_type=get_mime_type(path), filename=path.name)
    temporary = tempfile.TemporaryDirectory()
    background.add_task(temporary.cleanup)
    try:
        path = await run_in_threadpool(_archived_label, studies, label, tag, Path(temporary.name))
    except BaseException:
        temporary.cleanup()
        raise
    return FileResponse(path, media_type=get_mime_type(path), filename=path.name)


@app.get("/datastore/label/info", dependencies=[USER])
async def label_info(label: Name, tag: Tag) -> dict[str, Any]:
    """Return what was said of a label when it was saved."""
    return _studies().label_info(label, tag)


@app.put("/datastore/label", dependencies=[ANNOTATOR])
async def save_label(image: Name, label: Upload, tag: Tag = FINAL, params: Params = "{}") -> dict[str, str]:
    """Save the label of an image."""
    return {"image": image, "label": await run_in_threadpool(_save_label, image, tag, label, read_object(params))}


@app.post("/activelearning/{strategy}", dependencies=[USER, Depends(_json_body)])
async def next_sample(strategy: str) -> dict[str, Any]:
    """Return an image that has no label yet."""
    return app_instance().next_sample({"strategy": strategy})


@app.get("/train/", dependencies=[USER])
async def training_status(all: bool = False, check_if_running: bool = False) -> Any:
    """Return the last training, or all, or the one that is running."""
    status, detail = AsyncTask.status("train", all, check_if_running)
    if status is None:
        raise HTTPException(404, detail)
    return status


@app.post("/train/{model}", dependencies=[ADMIN])
async def start_training(model: str, options: Annotated[dict[str, Any], Depends(_json_body)]) -> Any:
    """Start a training from the labels, in a process of its own."""
    wanted = checked_options(app_instance().learning(model), options)
    if any(task["status"] in ("SUBMITTED", "RUNNING") for task in tasks("train")):
        raise HTTPException(429, "a training is running; DELETE /train/ ends it")
    return AsyncTask.run("train", request={"model": model}, params=wanted, enqueue=True)[0]


@app.post("/train/{model}/use", dependencies=[ADMIN])
async def use_weights(model: str, weights: str) -> dict[str, Any]:
    """Bring trained weights into use, whatever they score, or the bundle's own."""
    versions = app_instance().learning(model).versions
    versions.use(weights)
    return versions.summary()


@app.delete("/train/", dependencies=[ADMIN])
async def stop_training() -> Any:
    """End the training that is running."""
    return AsyncTask.stop("train")


def _refused(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"detail": reason}, status)


async def _wrong_value(_: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    return _refused(status, str(error))


async def _no_answer(_: Request, error: Any) -> JSONResponse:
    return _refused(error.status, error.reason)


async def _wrong_request(_: Request, error: Any) -> JSONResponse:
    return _refused(422, "; ".join(f"{'/'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()))


async def _no_login(_: Request, error: Any) -> JSONResponse:
    wrong = isinstance(error, requests.HTTPError)
    return _refused(401 if wrong else 503, "the realm refuses this login" if wrong else "the realm does not answer")


def _behind_the_door(token: str | None) -> Guard:
    settings = from_environment()
    app.include_router(login_routes(token))
    if settings.viewer:
        app.include_router(viewer_routes(settings.viewer, [USER]))
    if token is None:
        app.dependency_overrides[get_current_user] = realm_user
    for kind in STATUS:
        app.add_exception_handler(kind, _wrong_value)
    app.add_exception_handler(RefusedError, _no_answer)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(requests.RequestException, _no_login)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_origin_regex=LOOPBACK_PAGES,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
    )
    pages = PAGES if settings.viewer else ""
    return Guard(app, token, settings.hosts, settings.origins, settings.upload_mib * 2**20, pages=pages)


def _token() -> str | None:
    token = take_token(os.environ)
    if token is None and not monai_label.MONAI_LABEL_AUTH_ENABLE:
        raise RuntimeError("expected a token in LABEL_TOKEN or MONAI_LABEL_AUTH_ENABLE; start with common label")
    return None if monai_label.MONAI_LABEL_AUTH_ENABLE else token


application = _behind_the_door(_token())
