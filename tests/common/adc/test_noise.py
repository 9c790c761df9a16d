import numpy as np
import pytest
import torch

from common.adc import LabelAwareNoised


def slice_with_lesion(side=96):
    image = torch.from_numpy(np.random.RandomState(3).standard_normal((2, side, side)).astype(np.float32))
    label = torch.zeros(1, side, side)
    label[:, 30:70, 20:60] = 1
    return image, label


def noised_and_target(image, label, objective="ladp", seed=0, **settings):
    transform = LabelAwareNoised("image", objective=objective, **settings).set_random_state(seed)
    result = transform({"image": image, "label": label})
    return result["image"], result["label"]


def test_noised_image_is_the_published_mixture_of_image_and_target():
    image, label = slice_with_lesion()
    noised, noise = noised_and_target(image, label, seed=1, signal=0.9)
    torch.testing.assert_close(noised, 0.9**0.5 * image + 0.1**0.5 * noise)


def test_noise_is_stronger_in_the_lesion_and_weaker_far_from_it():
    image, label = slice_with_lesion()
    noise = torch.cat([noised_and_target(image, label, seed=s, roi_std=1.5, background_std=0.8)[1] for s in range(20)])
    deep, far = noise[:, 44:56, 34:46], noise[:, :5, 85:]  # the lesion's deepest part, and beyond |Dmin| of it
    assert abs(deep.std() - 1.5) < 0.05
    assert abs(far.std() - 0.8) < 0.05
    assert abs(noise.mean()) < 0.02


def test_channels_get_independent_noise():
    image, label = slice_with_lesion()
    noise = noised_and_target(image, label, seed=2)[1]
    assert abs(np.corrcoef(noise.reshape(2, -1).numpy())[0, 1]) < 0.05


def test_slice_without_lesion_gets_the_background_noise_everywhere():
    image, label = slice_with_lesion()
    noise = noised_and_target(image, torch.zeros_like(label), roi_std=50.0)[1]
    assert abs(noise.std() - 0.8) < 0.02


@pytest.mark.parametrize("objective", ["ddp", "dae"])
def test_rivals_see_no_label(objective):
    image, label = slice_with_lesion()
    noised = [noised_and_target(image, y, objective, roi_std=9.0)[0] for y in (label, torch.zeros_like(label))]
    assert torch.equal(*noised)


def test_decoder_denoising_predicts_noise_of_one_strength():
    image, label = slice_with_lesion()
    noised, noise = noised_and_target(image, label, "ddp", background_std=1.2, signal=0.8)
    assert abs(noise.std() - 1.2) < 0.02
    torch.testing.assert_close(noised, 0.8**0.5 * image + 0.2**0.5 * noise)


def test_autoencoder_predicts_the_clean_image():
    image, label = slice_with_lesion()
    noised, target = noised_and_target(image, label, "dae")
    assert torch.equal(target, image) and not torch.equal(noised, image)


def test_full_signal_leaves_the_image():
    image, label = slice_with_lesion()
    assert torch.equal(noised_and_target(image, label, signal=1.0)[0], image)


def test_input_is_left_as_it_was():
    image, label = slice_with_lesion()
    data = {"image": image, "label": label, "case": "7"}
    result = LabelAwareNoised("image", target_key="noise").set_random_state(8)(data)
    assert result["label"] is label and result["case"] == "7" and not torch.equal(result["image"], image)
    assert data.keys() == {"image", "label", "case"} and data["image"] is image and data["label"] is label


def test_same_seed_same_noise_and_next_call_another():
    image, label = slice_with_lesion()
    data = {"image": image, "label": label}
    transform = LabelAwareNoised("image").set_random_state(9)
    first, second = transform(data)["label"], transform(data)["label"]
    assert not torch.equal(first, second)
    assert torch.equal(first, noised_and_target(image, label, seed=9)[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"roi_std": 0.0}, "expected positive, found 0.0, 0.8"),
        ({"signal": 0.0}, r"fraction in \(0, 1\], found 0.0"),
        ({"objective": "simclr"}, "objective: expected one of .*, found 'simclr'"),
    ],
)
def test_refuses_settings_without_meaning(settings, message):
    with pytest.raises(ValueError, match=message):
        LabelAwareNoised("image", **settings)


def test_refuses_a_label_of_another_shape():
    with pytest.raises(ValueError, match=r"label: expected shape \(1, 8, 8\), found \(1, 8, 9\)"):
        noised_and_target(torch.zeros(2, 8, 8), torch.zeros(1, 8, 9))
