"""What downloads and transfers leave under the name of an image is called by what it is, in every bundle."""

import pytest

from tests.bundles.attacks import infer

KINDS = {
    "page": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>" * 20, "a web page"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML text"),
    "json": (b'{"message": "Not Found"}', "JSON text"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a pointer of Git LFS"),
    "archive": (b"PK\x03\x04" + bytes(range(256)) * 4, "a ZIP archive"),
    "words": (b"this is no image\r\n" * 90, "plain text"),
    "nothing": (b"", "an empty file"),
}
FORMS = {
    "echo_coreecho": ("{0}.avi", "{0}.mp4", "{0}.dcm", "{0}.nii.gz"),
    "cmr_hf_classify": ("{0}/{0}.nii.gz", "{0}/{0}.nii", "{0}/1.dcm"),
    "doppler_keypoint": ("{0}.png", "{0}.dcm"),
    "elasto_flow": ("{0}.mat", "{0}.npy", "{0}.mha"),
    "hie_ladp_seg": ("1ADC_ss/{0}.mha", "1ADC_ss/{0}.nii.gz", "1ADC_ss/{0}.nrrd"),
}


@pytest.mark.parametrize(("bundle", "form"), [(bundle, form) for bundle, forms in FORMS.items() for form in forms])
def test_a_file_of_another_kind_is_called_by_what_it_is(tmp_path, bundle, form):
    for name, (content, _) in KINDS.items():
        paths = [tmp_path / "data" / form.format(name)]
        if bundle == "hie_ladp_seg":
            paths.append(tmp_path / "data" / form.format(name).replace("1ADC_ss", "2Z_ADC"))
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    predictions, failed = infer(bundle, tmp_path / "data", tmp_path / "output")
    assert not predictions and set(failed) == set(KINDS)
    for name, (_, kind) in KINDS.items():
        if name == "words" and form.endswith((".mha", ".nrrd")):
            continue  # their headers are text, whose entries are looked for
        reason = failed[name]["reason"]
        assert f"found {kind}" in reason and name in reason and "download the file again" in reason
