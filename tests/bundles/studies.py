"""Cases as they lie in the studies folder of a server: one file each."""

import shutil
from pathlib import Path

import SimpleITK as sitk

from tests.bundles.harness import root

FILES = {
    "cmr_hf_classify": "database/training/*/*_4d.nii.gz",
    "doppler_keypoint": "labelled/*.dcm",
    "echo_coreecho": "Videos/*.avi",
    "elasto_flow": "*.mat",
}


def studies(bundle, data, folder, cases=1):
    """Write the first cases of the bundle's phantom `data` to `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    if bundle == "hie_ladp_seg":
        return [_two_channels(adc, folder) for adc in sorted((data / "1ADC_ss").iterdir())[:cases]]
    found = sorted(data.glob(FILES[bundle]))[:cases]
    assert len(found) == cases
    return [Path(shutil.copy(path, folder)) for path in found]


def with_weights(bundle, models, folder):
    """Copy the bundle to `folder`, with the weights in `models`."""
    target = folder / bundle
    shutil.copytree(root(bundle), target, ignore=shutil.ignore_patterns("models"))
    shutil.copytree(models, target / "models")
    return target


def _two_channels(adc_path, folder):
    """ADC and Z as the channels of one file; its annotation goes where MONAI Label keeps final labels."""
    case = adc_path.name.removesuffix("-ADC_ss.mha")
    cohort = adc_path.parents[1]
    adc = sitk.Cast(sitk.ReadImage(str(adc_path)), sitk.sitkFloat32)
    zmap = sitk.ReadImage(str(next((cohort / "2Z_ADC").glob(f"Zmap_{case}*"))))
    sitk.WriteImage(sitk.JoinSeries([adc, zmap]), str(folder / f"{case}.nii.gz"))
    labels = folder / "labels" / "final"
    labels.mkdir(parents=True, exist_ok=True)
    label = sitk.ReadImage(str(cohort / "3LABEL" / f"{case}_lesion.mha"))
    sitk.WriteImage(label, str(labels / f"{case}.nii.gz"))
    return folder / f"{case}.nii.gz"
