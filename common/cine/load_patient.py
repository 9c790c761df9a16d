"""A patient's whole cine, read once, as one sample a section."""

from collections.abc import Mapping
from typing import Any

from monai.transforms import Transform

from common.cine.load import cine_section_tensor
from common.cine.reader import read_cine


class LoadCinePatient(Transform):
    """Turns {"case", "image": folder or 4D NIfTI} into a list of {"case", "section", "image": (1, H, W, T) tensor}.

    Every file is read once; the transforms that follow in a Compose work on each section.
    """

    def __call__(self, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the patient's usable sections in their order along the normal.

        Raises:
            NoDataError: if there is no file.
            UnusableFileError: if no section is usable.
        """
        cine = read_cine(item["image"])
        return [
            {"case": item["case"], "section": index, "image": cine_section_tensor(cine, str(item["case"]), index)}
            for index in range(len(cine.frames))
        ]
