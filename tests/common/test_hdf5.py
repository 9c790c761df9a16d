import h5py
import numpy as np
import pytest

from common.errors import UnusableFileError
from common.hdf5 import check_own_values, check_self_contained

VALUES = np.arange(64.0).reshape(8, 8)


@pytest.fixture
def folder(tmp_path):
    """A whole file, and files that take the same values from it or from a file of bytes."""
    VALUES.tofile(tmp_path / "bytes")
    with h5py.File(tmp_path / "whole", "w") as file:
        file["rf"] = VALUES
        file["group/values"] = VALUES
        file["group/loop"] = h5py.SoftLink("/group")
        file["group/hard"] = file["group"]
        file["nowhere"] = h5py.SoftLink("/nothing")
    with h5py.File(tmp_path / "storage", "w") as file:
        group = file.create_group("g")
        group.create_dataset("rf", (8, 8), "f8", external=[(str(tmp_path / "bytes"), 0, VALUES.nbytes)])
    with h5py.File(tmp_path / "link", "w") as file:
        file["g/rf"] = h5py.ExternalLink(str(tmp_path / "whole"), "/rf")
    with h5py.File(tmp_path / "soft", "w") as file:
        file["a"] = h5py.SoftLink("/z/rf")
        file["z"] = h5py.ExternalLink(str(tmp_path / "whole"), "/")
    with h5py.File(tmp_path / "virtual", "w") as file:
        layout = h5py.VirtualLayout((8, 8), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "whole"), "rf", (8, 8))
        file.create_virtual_dataset("rf", layout)
    return tmp_path


def test_a_file_with_loops_of_its_own_is_taken(folder):
    check_self_contained(folder / "whole")


@pytest.mark.parametrize(("name", "values"), {"storage": "g/rf", "link": "g/rf", "soft": "a", "virtual": "rf"}.items())
def test_a_file_that_takes_values_from_another_is_refused(folder, name, values):
    with h5py.File(folder / name) as file:
        assert np.array_equal(file[values], VALUES)  # the library follows
    with pytest.raises(UnusableFileError, match=rf"{name}: \w+(/rf)? is .* another file; save the values in the file"):
        check_self_contained(folder / name)


def test_no_other_file_is_opened_to_see_that(folder):
    (folder / "whole").unlink()
    with pytest.raises(UnusableFileError, match="z is a link to another file"):
        check_self_contained(folder / "soft")


def test_a_dataset_that_no_name_leads_to_is_checked_by_itself(folder):
    with h5py.File(folder / "nameless", "w") as file:
        kept = file.create_dataset(None, (8, 8), "f8", external=[(str(folder / "bytes"), 0, VALUES.nbytes)])
        with pytest.raises(UnusableFileError, match=r"nameless: .* is kept in another file"):
            check_own_values(folder / "nameless", kept)
