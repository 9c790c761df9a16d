"""Files that are whole, of the right kind and far too small for what they claim to show: refused, not measured."""

import av
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy.io import savemat

from common.files import write_csv
from tests.bundles.attacks import infer

RANDOM = np.random.default_rng(16)


def moving(frames, height, width):
    """A bright disk that beats, with noise, in grey levels (T, H, W)."""
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2) / (min(height, width) / 2)
    radius = 0.6 + 0.25 * np.cos(2 * np.pi * np.arange(frames) / frames)
    picture = 160.0 * (distance[None] > radius[:, None, None]) + 40
    return np.clip(picture + RANDOM.normal(0, 10, picture.shape), 0, 255).astype(np.uint8)


def echo_nifti(folder):
    nibabel.save(nibabel.Nifti1Image(moving(8, 8, 8).T.copy(), np.eye(4)), folder / "small.nii.gz")


def echo_metaimage(folder):
    sitk.WriteImage(sitk.GetImageFromArray(moving(8, 8, 8)), str(folder / "small.mhd"))


def echo_avi(folder):
    with av.open(str(folder / "small.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25, options={"q:v": "1"})
        stream.width, stream.height, stream.pix_fmt = 8, 8, "yuvj444p"
        for frame in moving(20, 8, 8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.stack([frame] * 3, -1), format="rgb24")))
        container.mux(stream.encode())


def cine(folder):
    frames = moving(20, 8, 8).astype(np.int16)
    image = nibabel.Nifti1Image(np.stack([frames.T] * 3, axis=2), np.diag([25.0, 25.0, 10.0, 1.0]))
    image.header.set_zooms((25, 25, 10, 0.04))
    (folder / "small").mkdir()
    nibabel.save(image, folder / "small" / "small_4d.nii.gz")


def adc(folder):
    values = RANDOM.normal(1100, 150, (3, 4, 4)).astype(np.float32)
    for kind, voxels in (("1ADC_ss", values), ("2Z_ADC", ((values - 1100) / 150).astype(np.float32))):
        (folder / kind).mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / kind / "small.mha"), useCompression=True)


def doppler(folder):
    Image.fromarray(moving(1, 10, 10)[0]).save(folder / "small.png")
    row = {"filename": "small.png", "cm_s_per_px": 10, "y_baseline": 8, "seconds_per_px": 0.1}
    write_csv(folder / "labels.csv", [row])


def rf(samples, lines):
    def write(folder):
        frames = RANDOM.normal(size=(2, samples, lines))
        quantities = {"fs_hz": 40e6, "sound_speed_m_s": 1540.0, "pitch_m": 0.3e-3}
        savemat(
            folder / "small.mat", {"Im1": frames[0], "Im2": np.roll(frames[0], 1, 0) + 0.1 * frames[1], **quantities}
        )

    return write


@pytest.mark.parametrize(
    ("bundle", "write", "found"),
    [
        ("echo_coreecho", echo_nifti, "8 x 8"),
        ("echo_coreecho", echo_metaimage, "8 x 8"),
        ("echo_coreecho", echo_avi, "8 x 8"),
        ("cmr_hf_classify", cine, "8 x 8"),
        ("hie_ladp_seg", adc, "4 x 4 x 3"),
        ("doppler_keypoint", doppler, "10 x 10"),
        ("elasto_flow", rf(8, 4), "8 samples x 4 lines"),
        ("elasto_flow", rf(48, 4), "48 samples x 4 lines"),
        ("elasto_flow", rf(96, 2), "96 samples x 2 lines"),
    ],
)
def test_a_file_too_small_for_what_it_shows_is_refused_by_name(tmp_path, bundle, write, found):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    settings = {"stride_ms": 0} if bundle == "echo_coreecho" else {}  # NIfTI and MetaImage have no frame rate here
    predictions, failed = infer(bundle, tmp_path / "data", tmp_path / "output", **settings)
    assert not predictions
    [reason] = [row["reason"] for row in failed.values()]
    assert "small" in reason and "expected" in reason and f"found {found}" in reason
