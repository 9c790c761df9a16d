"""DICOM frames with every field under the test's control."""

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# Row direction (0.8, 0, 0.6), column direction (0, 1, 0): normal (-0.6, 0, 0.8).
OBLIQUE = (0.8, 0.0, 0.6, 0.0, 1.0, 0.0)


def write_frame(path, pixels, position=(0.0, 0.0, 0.0), trigger_ms=None, number=1, **fields):
    """Write `pixels` (int16) as one MR frame; `fields` are DICOM keywords that replace or (None) remove the usual."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = pydicom.uid.PYDICOM_IMPLEMENTATION_UID
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    if int(pydicom.__version_info__[0]) < 3:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
    usual = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": "MR",
        "PatientName": "Do^Not^Copy",
        "PatientID": "secret",
        "SeriesInstanceUID": "1.2.3",
        "SeriesNumber": 1,
        "AcquisitionNumber": 1,
        "InstanceNumber": number,
        "TriggerTime": trigger_ms,
        "ImagePositionPatient": list(position),
        "ImageOrientationPatient": list(AXIAL),
        "PixelSpacing": [1.5, 1.25],
        "SliceThickness": 6,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "PixelData": np.asarray(pixels, "<i2").tobytes(),
    }
    for keyword, value in {**usual, **fields}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset)


def textured(value, shape=(8, 6)):
    """Pixels whose first one is `value`, and which are not constant."""
    pixels = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    pixels[0, 0] = value
    return pixels


def write_stack(folder, slices=3, frames=4, gap_mm=10.0, orientation=AXIAL, shape=(8, 6), **fields):
    """Write a stack; the first pixel of frame t of slice s is 100 * (s + 1) + t, the trigger time 20 + 30 t ms."""
    normal = np.cross(orientation[:3], orientation[3:])
    for s in range(slices):
        for t in range(frames):
            number = s * frames + t + 1
            write_frame(
                folder / f"IM-0001-{number:04d}.dcm",
                textured(100 * (s + 1) + t, shape),
                [round(float(v), 6) for v in s * gap_mm * normal],
                20 + 30 * t,
                number,
                ImageOrientationPatient=list(orientation),
                **fields,
            )


def first_pixels(cine):
    """Return the first pixel of each frame, by slice."""
    return [found.frames[:, 0, 0].astype(int).tolist() for found in cine.slices]


def shapes(cine):
    """Return the shape of each slice's frames."""
    return [found.frames.shape for found in cine.slices]


def cut(path, count):
    """Take the last bytes of a file away."""
    path.write_bytes(path.read_bytes()[:-count])
