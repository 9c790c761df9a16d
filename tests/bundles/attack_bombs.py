"""Small files that claim or become far more than memory holds, or that a library does not survive; by file name."""

import gzip
import io
import struct
import zipfile
import zlib

import h5py
import nibabel
import numpy as np
import pydicom

ZEROS = bytes(42_000_000)


def adc_bombs():
    """Return MetaImage files."""
    packed = zlib.compress(ZEROS)
    compressed = {"CompressedData": "True", "CompressedDataSize": len(packed)}
    voxels = {"list": b"LIST", "device": b"/dev/zero", "elsewhere": b"/etc/passwd", "pattern": b"%d.raw 1 1000000000 1"}
    return {
        "ndims.mha": many_axes(),
        "negative.mha": meta_image(NDims=-1),
        "ndims_huge.mha": meta_image(NDims=2**40),
        "dimsize.mha": meta_image(DimSize="40000 40000 4"),
        "overflow.mha": meta_image(DimSize=f"{2**32} {2**32} 1"),
        "claims_compressed.mha": meta_image(DimSize="40000 40000 4", **compressed) + packed,
        "zeros.mha": meta_image(**compressed) + packed,
        "channels.mha": meta_image(ElementNumberOfChannels=2**31),
        "long_line.mha": b"ObjectType = " + b"x" * 5_000_000,
        **{f"{name}.mha": meta_image().replace(b"LOCAL", place) for name, place in voxels.items()},
    }


def cine_bombs():
    """Return compressed NIfTI files."""
    return {
        "claims.nii.gz": gzip.compress(nifti([32767] * 4)),
        "frames.nii.gz": gzip.compress(nifti([48, 48, 2, 32767])),
        "zeros.nii.gz": gzip.compress(nifti([48, 48, 2, 6]) + ZEROS, 1),
        "negative.nii.gz": gzip.compress(nifti([48, -48, 2, 6])),
        "none.nii.gz": gzip.compress(nifti([0, 0, 0, 0])),
        "complex.nii.gz": gzip.compress(nifti([32767] * 3 + [6], np.complex128)),
    }


def screen_bombs(source):
    """Return pictures, and DICOM files made from `source`."""
    packed, text = zlib.compress(ZEROS), zlib.compress(bytes(200_000_000), 1)
    bombs = {
        "claims.png": png(65535, 65535, packed),
        "largest.png": png(2**31 - 1, 2**31 - 1, packed),
        "text.png": png(600, 200, b"")[:33] + struct.pack(">I", len(text) + 3) + b"zTXta\0\0" + text,
        "rows.dcm": changed(source, Rows=65535, Columns=65535),
        "frames.dcm": changed(source, NumberOfFrames=2**31 - 1),
        "samples.dcm": changed(source, SamplesPerPixel=65535),
    }
    deflated = changed(source, pydicom.uid.DeflatedExplicitVRLittleEndian)
    data_set = 132 + 12 + struct.unpack("<I", deflated[140:144])[0]
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    bombs["deflated.dcm"] = deflated[:data_set] + packer.compress(bytes(300_000_000)) + packer.flush()
    return bombs


def rf_bombs():
    """Return MAT, NPY, NPZ and MetaImage files."""
    hdf5, header, archive, pickled = (io.BytesIO() for _ in range(4))
    with h5py.File(hdf5, "w") as file:
        for name in ("Im1", "Im2"):
            file.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")
    shape = {"descr": "<f8", "fortran_order": False, "shape": (2, 10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("rf.npy", header.getvalue() + ZEROS)
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    matrix = zlib.compress(struct.pack("<II", 14, 2**31) + ZEROS)
    matlab = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(matrix)) + matrix
    return {
        "hdf5.mat": hdf5.getvalue(),
        "claims.npy": header.getvalue(),
        "zip.npz": archive.getvalue(),
        "pickle.npy": pickled.getvalue(),
        "matlab.mat": matlab,
        "meta.mha": many_axes(),
    }


def echo_bombs():
    """Return sequences, and playlists that would open other files."""
    return {
        "nifti.nii.gz": gzip.compress(nifti([32767] * 4)),
        "meta.mha": many_axes(),
        "dimsize.mha": meta_image(DimSize="40000 40000 4"),
        "playlist.avi": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "concat.avi": b"ffconcat version 1.0\nfile /etc/passwd\n",
    }


def meta_image(**fields):
    """Return the header of a MetaImage file without voxels."""
    header = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": "3 3 20",
        "DimSize": "32 36 4",
        "ElementType": "MET_FLOAT",
        **fields,
        "ElementDataFile": "LOCAL",
    }
    return "".join(f"{name} = {value}\n" for name, value in header.items()).encode()


def many_axes():
    return meta_image(NDims=900, DimSize=" ".join(["2"] * 900))


def nifti(shape, dtype=np.int16):
    """Return the header of a NIfTI file."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header["dim"][:] = 1
    header["dim"][0] = len(shape)
    header["dim"][1 : 1 + len(shape)] = shape
    header["pixdim"][1:5] = 2
    header["magic"], header["vox_offset"], header["qform_code"] = b"n+1", 352, 1
    return header.binaryblock + bytes(4)


def png(width, height, data):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def changed(source, syntax=None, **values):
    """Return a DICOM file with other values."""
    dataset, stream = pydicom.dcmread(source), io.BytesIO()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.TransferSyntaxUID = syntax or dataset.file_meta.TransferSyntaxUID
    dataset.save_as(stream)
    return stream.getvalue()
