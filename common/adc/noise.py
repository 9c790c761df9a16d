"""Noise that is stronger around lesion contours: the pretraining input and target of LADP, DDP and denoising."""

from collections.abc import Hashable, Mapping

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from monai.utils.enums import TransformBackends
from torch import Tensor

from .region import region_of_interest, sample_reach_fraction

OBJECTIVES = ("ladp", "ddp", "dae")


class LabelAwareNoised(Randomizable, MapTransform):
    """Noises images and writes beside them the noise W that a network is to predict, stronger around the lesion.

    The region of interest holds the pixels whose signed distance to the lesion contour is at most lambda (eq. 2-3).
    W has standard deviation `roi_std` in it and `background_std` elsewhere (eq. 4), and the noised image is
    sqrt(signal) x + sqrt(1 - signal) W (eq. 5). A slice without lesion has no region: `background_std` everywhere.

    Args:
        keys: images (C, H, W), normalised.
        label_key: annotation (1, H, W), lesion where positive.
        target_key: where the target goes; may be `label_key`, so that a trainer finds it as the label.
        objective: "ladp"; or one of its rivals, which see no label and take `background_std` everywhere: "ddp"
            predicts the noise too (decoder denoising pretraining), "dae" the clean image (denoising autoencoder).
        roi_std: sigma_a, in units of the normalised image; positive.
        background_std: sigma_b, in the same units; positive.
        signal: gamma, the fraction of the image's variance that is kept, in (0, 1].
        allow_missing_keys: whether an image may be missing.

    References:
        Ninalga, Label Aware Denoising Pretraining, 2024, eq. 1-6 (sigma_a 1.5, sigma_b 0.8, gamma 0.95).
        Brempong et al., Denoising Pretraining for Semantic Segmentation, CVPR Workshops 2022.

    Example:
        >>> import torch
        >>> from common.adc import LabelAwareNoised
        >>> noise = LabelAwareNoised("image", target_key="noise").set_random_state(0)
        >>> sample = noise({"image": torch.zeros(2, 128, 128), "label": torch.zeros(1, 128, 128)})
        >>> round(float(sample["noise"].std()), 1)  # without a lesion `background_std` everywhere
        0.8
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI declares it as an instance's)

    def __init__(
        self,
        keys: KeysCollection,
        label_key: str = "label",
        target_key: str = "label",
        objective: str = "ladp",
        roi_std: float = 1.5,
        background_std: float = 0.8,
        signal: float = 0.95,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if objective not in OBJECTIVES:
            raise ValueError(f"objective: expected one of {OBJECTIVES}, found {objective!r}")
        if min(roi_std, background_std) <= 0:
            raise ValueError(f"roi_std, background_std: expected positive, found {roi_std}, {background_std}")
        if not 0 < signal <= 1:
            raise ValueError(f"signal: expected a fraction in (0, 1], found {signal}")
        self.label_key, self.target_key, self.objective = label_key, target_key, objective
        self.roi_std, self.background_std, self.signal = roi_std, background_std, signal
        self._noise = torch.empty(0)

    def randomize(self, data: tuple[Tensor, Tensor]) -> None:
        """Draw W for an image (C, H, W) and its label (1, H, W)."""
        image, label = data
        seed = int(self.R.randint(2**31 - 1))
        standard = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
        if self.objective != "ladp":
            self._noise = self.background_std * standard
            return
        region = region_of_interest(label[0].cpu().numpy(), sample_reach_fraction(self.R))
        self._noise = standard * torch.where(torch.from_numpy(region), self.roi_std, self.background_std)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Noise the entries under `keys`; the input mapping is left as it was.

        Raises:
            ValueError: if the spatial shapes differ or the label has not one channel.
        """
        d = dict(data)
        label = data[self.label_key]
        for key in self.key_iterator(d):
            image = data[key]
            if label.shape != (1, *image.shape[1:]):
                raise ValueError(f"label: expected shape {(1, *image.shape[1:])}, found {tuple(label.shape)}")
            self.randomize((image, label))
            noise = self._noise.to(image)
            d[key] = self.signal**0.5 * image + (1 - self.signal) ** 0.5 * noise
            d[self.target_key] = image if self.objective == "dae" else noise
        return d
