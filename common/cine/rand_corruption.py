"""One or more of the three corruptions of SSLHF, drawn for every sample."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Randomizable
from monai.utils import ensure_tuple_rep

from .corruption import CineCorruption, CoverFrames, CoverPatches, LocalPixelShuffle


class RandCorruptCined(MapTransform, Randomizable):
    """Corrupts slices in one or more ways, each with `probability`, one at random if none was drawn.

    In this order: "shuffle" (:class:`LocalPixelShuffle`), "patches" (:class:`CoverPatches`), "frames"
    (:class:`CoverFrames`). Leaving a name out is the paper's ablation (Table II). One random state serves all. The
    untouched slice is kept as the label.

    Args:
        keys: slices (C, H, W, T) to corrupt; each has a draw of its own.
        label_key: where the untouched slice of each key goes; the tensor itself, since nothing is changed in place.
        corruptions: names of those in use.
        probability: of each; the paper gives none.
        windows_per_frame, max_side, mode: see :class:`LocalPixelShuffle`.
        max_patches, area: see :class:`CoverPatches`.
        groups, max_length: see :class:`CoverFrames`.
        allow_missing_keys: skip the keys that are not there.

    Raises:
        ValueError: for no name, an unknown one, or a probability outside 0..1.

    References:
        Zhong et al., EMBC 2021, section III.B: "one or more transformations".
    """

    backend = CineCorruption.backend

    def __init__(
        self,
        keys: KeysCollection,
        label_key: KeysCollection = "label",
        corruptions: Sequence[str] = ("shuffle", "patches", "frames"),
        probability: float = 0.5,
        windows_per_frame: int = 100,
        max_side: int | None = None,
        mode: str = "permute",
        max_patches: int = 5,
        area: tuple[float, float] = (1 / 36, 1 / 9),
        groups: int = 5,
        max_length: int = 3,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        known: dict[str, CineCorruption] = {
            "shuffle": LocalPixelShuffle(windows_per_frame, max_side, mode),
            "patches": CoverPatches(max_patches, area),
            "frames": CoverFrames(groups, max_length),
        }
        names = {corruptions} if isinstance(corruptions, str) else set(corruptions)
        if not names or not names <= set(known):
            raise ValueError(f"corruptions: expected one or more of {sorted(known)}, found {corruptions!r}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability: expected 0 to 1, found {probability}")
        self.label_keys = ensure_tuple_rep(label_key, len(self.keys))
        self.probability = probability
        self.corruptions = {name: corruption for name, corruption in known.items() if name in names}
        self.chosen: list[str] = []

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> "RandCorruptCined":
        """Seed all the corruptions at once."""
        super().set_random_state(seed, state)
        for corruption in self.corruptions.values():
            corruption.set_random_state(state=self.R)
        return self

    def randomize(self, data: object = None) -> None:
        """Draw the `chosen` names."""
        names = list(self.corruptions)
        drawn = self.R.random_sample(len(names)) < self.probability
        if not drawn.any():
            drawn[self.R.randint(len(names))] = True
        self.chosen = [name for name, use in zip(names, drawn, strict=True) if use]

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Move the entries under `keys` to `label_key` and corrupt them; the input mapping is left as it was."""
        d = dict(data)
        for key, label_key in self.key_iterator(d, self.label_keys):
            d[label_key] = d[key]
            self.randomize()
            for name in self.chosen:
                d[key] = self.corruptions[name](d[key])
        return d
