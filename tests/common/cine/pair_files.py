"""Files of end-diastole and end-systole with masks, as public collections of such pairs keep them."""

import nibabel
import numpy as np


def write_pair(folder, name, diastole, systole, zooms=(1.5, 2.0, 8.0)):
    """Write image and mask (S, H, W) of both phases; `zooms` are between columns, rows and slices."""
    folder.mkdir(exist_ok=True)
    for phase, (image, mask) in (("ED", diastole), ("ES", systole)):
        for part, voxels in (("image", image), ("lv", mask.astype(np.uint8))):
            volume = nibabel.Nifti1Image(voxels.transpose(2, 1, 0), np.diag([*zooms, 1.0]))
            nibabel.save(volume, folder / f"{name}_{phase}_{part}.nii.gz")


def write_heart(folder, name, ef, slices=2, size=56):
    """Write a heart of about this EF: a cavity in a wall that keeps its area, beside a second cavity; 3 mm a pixel."""
    y, x = np.mgrid[:size, :size]
    away = np.hypot(y - size / 2, x - 0.55 * size)
    phases = []
    for share in (1.0, 1.0 - ef / 100.0):
        radius = 9.0 * np.sqrt(share)
        mask = away < radius
        image = np.where(away < np.sqrt(radius**2 + 100.0), 60.0, 90.0 + 40.0 * np.sin(0.4 * x) * np.cos(0.3 * y))
        image[np.hypot(y - size / 2, x - 0.2 * size) < 6.0] = 200.0
        image[mask] = 220.0
        phases.append((np.stack([image] * slices).astype(np.uint8), np.stack([mask] * slices)))
    write_pair(folder, name, *phases, zooms=(3.0, 3.0, 10.0))
