"""Small cines in folders of patients, as the layouts have them."""

import nibabel
import numpy as np

from tests.dicom_frames import write_stack


def by_case(items):
    found = {}
    for item in items:
        found.setdefault(item["case"], []).append(item["slice_number"])
    return found


def save(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.5, 1.5, 8, 1])), path)


def voxels(frames=4):
    return np.random.default_rng(0).integers(0, 500, (6, 6, 3, frames)).astype(np.int16)


def mask(label, count):
    """Count voxels of the cavity in slice 1, with the other two labels elsewhere."""
    image = np.zeros((6, 6, 3), np.uint8)
    image.reshape(36, 3)[:count, 1] = label
    image[5, :, :] = [[other] * 3 for other in [k for k in (1, 2, 3) if k != label] * 3]
    return image


def any_folder(root):
    write_stack(root / "anna" / "deep", slices=2)
    save(root / "bert.nii.gz", voxels())
    save(root / "carl" / "cine.nii.gz", voxels())
