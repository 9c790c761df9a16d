"""Volumes with their position in space: NIfTI by nibabel, MetaImage and NRRD by SimpleITK, DICOM series."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from monai.data import ImageReader
from monai.utils.enums import MetaKeys, SpaceKeys
from numpy.typing import NDArray

from ..data.integrity import check_claimed_size, check_compressed, check_kind
from ..data.stored_volume import stored_volume
from ..errors import UnusableFileError
from ..files import replacing
from .dicom import is_dicom_map, mark_brain, read_dicom_grid, read_dicom_map
from .grid import Grid, check_grid, grid_difference
from .nifti import is_nifti, read_nifti, read_nifti_grid, write_nifti, write_nifti_on

PathLike = str | os.PathLike[str]

SUFFIXES = (".mha", ".mhd", ".nrrd", ".nii", ".nii.gz")
_READERS = {".mha": "MetaImageIO", ".mhd": "MetaImageIO", ".nrrd": "NrrdImageIO"}
# What a header must say, each with older names: without it SimpleITK takes voxels of 1 mm at the origin along the
# patient's axes, or bytes in the wrong order.
_META_ENTRIES = {
    "ElementSpacing": r"(ElementSpacing|ElementSize)\s*[=:]",
    "Offset": r"(Offset|Position|Origin)\s*[=:]",
    "TransformMatrix": r"(TransformMatrix|Rotation|Orientation)\s*[=:]",
    "BinaryDataByteOrderMSB": r"(BinaryData|Element)ByteOrderMSB\s*[=:]\s*(True|False)\s*$",
}
_NRRD_ENTRIES = {name: rf"{name}:" for name in ("space", "space directions", "space origin")}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class VolumeReader(ImageReader):
    """Reads 3D volumes for MONAI's `LoadImage`; several files, or 4D and vector files, become channels.

    The array is (X, Y, Z) or (C, X, Y, Z), float32; `affine` is RAS as with MONAI's other readers. Files that are
    stacked must share a grid. Reading happens in :meth:`get_data`, because `LoadImage` hides the reason of an error
    in :meth:`read` behind its other readers.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Return True: :func:`read_volume` looks at the suffix."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[str]:
        """Return the paths; they are opened in :meth:`get_data`."""
        paths = [data] if isinstance(data, (str, os.PathLike)) else data
        return [str(path) for path in paths]

    def get_data(self, img: Sequence[str]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the voxels of the files `img` and the metadata that MONAI expects.

        Raises:
            UnusableFileError: if a file is unreadable or no volume, or the files' grids differ.
        """
        volumes = [read_volume(path) for path in img]
        grid = volumes[0][1]
        for path, (_, other) in zip(img[1:], volumes[1:], strict=True):
            difference = grid_difference(grid, other)
            if difference:
                raise UnusableFileError(
                    f"{path}: expected the grid of {img[0]}, found {difference}; resample one first"
                )
        array = np.concatenate([voxels for voxels, _ in volumes])
        if len(img) == 2 and is_dicom_map(Path(img[1])):
            array = mark_brain(array)
        single = len(array) == 1
        metadata: dict[str, Any] = {
            MetaKeys.AFFINE: grid.affine.copy(),
            MetaKeys.ORIGINAL_AFFINE: grid.affine.copy(),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.SPATIAL_SHAPE: np.asarray(grid.size),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan") if single else 0,
        }
        return array[0] if single else array, metadata


def read_volume(path: PathLike) -> tuple[NDArray[np.float32], Grid]:
    """Return the voxels (C, X, Y, Z) of a file and its grid; a fourth axis or a vector's components are channels.

    Raises:
        UnusableFileError: if the file is missing, damaged, not 3D (or 4D with channels last), or its header claims
            what cannot be.
    """
    if is_dicom_map(Path(path)):
        return read_dicom_map(path)
    file = _known(path)
    if is_nifti(file):
        return read_nifti(file)
    check_compressed(file)
    reader = _header(file)
    grid = _grid(reader, file)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(file) from error
    array = sitk.GetArrayFromImage(image)
    if image.GetDimension() == 4:
        channels = np.moveaxis(array.T, -1, 0)
    else:
        channels = array.T if image.GetNumberOfComponentsPerPixel() > 1 else array.T[None]
    with np.errstate(over="ignore"):  # too large for float32 is infinite, which no map may be
        return np.ascontiguousarray(channels, dtype=np.float32), grid


def read_grid(path: PathLike) -> Grid:
    """Return the grid of a file from its header alone."""
    if is_dicom_map(Path(path)):
        return read_dicom_grid(path)
    file = _known(path)
    return read_nifti_grid(file) if is_nifti(file) else _grid(_header(file), file)


def voxel_spacing_mm(path: PathLike) -> tuple[float, float, float]:
    """Return the size of a voxel of a file along x, y and z."""
    x, y, z = read_grid(path).spacing_mm.tolist()
    return x, y, z


def has_volume_suffix(path: Path) -> bool:
    """Return whether the name ends as those of volumes do: .mha, .mhd, .nrrd, .nii or .nii.gz."""
    return path.name.lower().endswith(SUFFIXES)


def write_on_grid(voxels: NDArray[Any], path: PathLike, reference: PathLike) -> None:
    """Write `voxels` (X, Y, Z) to `path` exactly where the file `reference` lies, and read them back.

    Args:
        voxels: any type that the format holds; booleans become 8-bit.
        path: in the format of `reference`, NIfTI for a DICOM series; a NIfTI keeps its sform and its qform. It is
            whole or not there.
        reference: file whose header gives the grid, 3D or 4D with channels last, or a DICOM series.

    Raises:
        OSError: if what was written is not what is read back (a full disk).
        ValueError: if `voxels` has not the size of `reference`, or the formats differ.
    """
    target, source, grid = Path(path), Path(reference), read_grid(reference)
    if voxels.shape != grid.size:
        raise ValueError(f"voxels: expected the size {grid.size} of {reference}, found {voxels.shape}")
    of_series = is_dicom_map(source)
    if is_nifti(target) != (is_nifti(source) or of_series):
        raise ValueError(f"{path}: expected the format of {reference}, found another suffix")
    plain = np.ascontiguousarray(voxels.astype(np.uint8) if voxels.dtype == bool else voxels)
    with replacing(target) as temporary:
        try:
            if of_series:
                write_nifti_on(grid.affine, plain, temporary)
            else:
                (write_nifti if is_nifti(target) else _write)(plain, temporary, source)
            written, place = read_volume(temporary)
            whole = np.array_equal(written[0], plain.astype(np.float32), equal_nan=True)
        except (OSError, RuntimeError, UnusableFileError) as error:
            raise OSError(f"{path}: expected to write a whole file, found less on disk; is it full?") from error
        if not whole or grid_difference(grid, place):
            raise OSError(f"{path}: expected the voxels that were written, found others on disk; is it damaged?")


def _write(voxels: NDArray[Any], path: Path, reference: Path) -> None:
    header = _header(reference)
    image = sitk.GetImageFromArray(voxels.T)
    image.SetSpacing(header.GetSpacing()[:3])
    image.SetOrigin(header.GetOrigin()[:3])
    image.SetDirection(_direction(header).ravel().tolist())
    # Lower-case, which SimpleITK's writers insist on, and .mha for .mhd, which may hold its voxels too.
    one_file = path.with_suffix(".nrrd" if path.suffix.lower() == ".nrrd" else ".mha")
    try:
        sitk.WriteImage(image, str(one_file), useCompression=True)
        one_file.replace(path)
    finally:
        if one_file != path:
            one_file.unlink(missing_ok=True)


def _known(path: PathLike) -> Path:
    file = Path(path)
    if not file.is_file():
        raise UnusableFileError(f"{path}: expected an image file, found none")
    if not has_volume_suffix(file):
        raise UnusableFileError(f"{path}: expected a volume in {', '.join(SUFFIXES)}, found another suffix; convert it")
    check_kind(file, "an image file")
    return file


def _header(path: Path) -> sitk.ImageFileReader:
    """Return a reader that knows the header, which was checked before: SimpleITK crashes on some."""
    _check_claims(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(_READERS[path.suffix.lower()])
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path) from error
    if len(reader.GetSize()) not in (3, 4):
        raise UnusableFileError(f"{path}: expected a 3D volume, found {len(reader.GetSize())}D")
    return reader


def _check_claims(path: Path) -> None:
    claimed = stored_volume(path)
    if claimed is None or claimed.data is None or not claimed.data.is_file():
        raise UnusableFileError(f"{path}: expected its voxels, binary and in one file, found none; save it as .mha")
    check_claimed_size(path, claimed.shape, claimed.bytes_per_value, compressed=True)
    with path.open("rb") as stream:
        header = stream.read(claimed.offset or 1 << 16).decode("latin-1")
    nrrd = path.suffix.lower() == ".nrrd"
    for name, entry in (_NRRD_ENTRIES if nrrd else _META_ENTRIES).items():
        if not re.search(rf"(?m)^{entry}", header):
            raise UnusableFileError(f"{path}: expected {name} in its header, found none; export the image again")
    size = claimed.data.stat().st_size - claimed.offset
    if not claimed.compressed and "HeaderSize" not in header:
        expected = math.prod(claimed.shape) * claimed.bytes_per_value
        if size != expected:
            raise UnusableFileError(f"{path}: expected {expected} bytes of voxels as its header says, found {size}")
    if claimed.compressed and not nrrd and not re.search(rf"(?m)^CompressedDataSize\s*[=:]\s*{size}\s*$", header):
        raise UnusableFileError(f"{path}: expected CompressedDataSize = {size} in its header, as it is, found another")


def _unreadable(path: Path) -> UnusableFileError:
    return UnusableFileError(f"{path}: expected a whole image file, found one that is unreadable; export it again")


def _direction(image: sitk.ImageFileReader) -> NDArray[np.float64]:
    matrix = np.asarray(image.GetDirection())
    side = round(matrix.size**0.5)
    return matrix.reshape(side, side)[:3, :3]


def _grid(image: sitk.ImageFileReader, path: Path) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = _direction(image) * np.asarray(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    x, y, z = image.GetSize()[:3]
    return check_grid(Grid((x, y, z), _LPS_TO_RAS @ affine), path)
