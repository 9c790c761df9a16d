"""Pictures of predicted ejection fractions that a clinician can read."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..figure import figure, show_tiles
from .network import EjectionFractionNet
from .scores import bland_altman, mean_absolute_error, r_squared

SHOWN_FRAMES = 6
TITLE_LETTERS = 110  # in a line
TSNE_FROM_CASES = 30


def draw_agreement(path: Path, predicted: NDArray, actual: NDArray) -> None:
    """Write the scatter of predicted over reference EF and the Bland-Altman plot beside it."""
    agreement = bland_altman(predicted, actual)
    with figure(path, 8.4, 4) as made:
        scatter, difference = made.subplots(1, 2)
        low = min(predicted.min(), actual.min()) - 3
        high = max(predicted.max(), actual.max()) + 3
        for border in (40, 50):
            scatter.axvline(border, color="0.85", linewidth=0.8)
            scatter.axhline(border, color="0.85", linewidth=0.8)
        scatter.plot([low, high], [low, high], color="0.6", linestyle=":")
        scatter.scatter(actual, predicted, s=14, alpha=0.7)
        mae, r2 = mean_absolute_error(predicted, actual), r_squared(predicted, actual)
        title = f"MAE {mae:.1f}, R2 {r2:.2f}, n = {len(actual)}"
        scatter.set(xlabel="reference EF (%)", ylabel="predicted EF (%)", title=title, aspect="equal")
        scatter.set(xlim=(low, high), ylim=(low, high))
        difference.scatter(agreement.means, agreement.differences, s=14, alpha=0.7)
        for value, style in ((agreement.bias, "-"), (agreement.lower, "--"), (agreement.upper, "--")):
            difference.axhline(value, color="0.4", linestyle=style, linewidth=1)
            difference.annotate(
                f"{value:+.1f}", (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom"
            )
        difference.set(xlabel="mean of both (%)", ylabel="predicted - reference (EF points)")
        difference.margins(y=0.12)
        difference.set_title("bias and 95 % limits of agreement")


def draw_embedding(path: Path, features: NDArray, actual: NDArray) -> None:
    """Write the map of the cases' embeddings in two dimensions, coloured by EF; left out for fewer than 3 cases."""
    if len(features) < 3:
        return
    places, name = _in_the_plane(features)
    with figure(path, 4.8, 4) as made:
        axes = made.add_subplot()
        points = axes.scatter(places[:, 0], places[:, 1], c=actual, cmap="viridis", s=22)
        axes.set(xticks=[], yticks=[], xlabel=f"{name} 1", ylabel=f"{name} 2", title="embeddings of the cases")
        made.colorbar(points, label="reference EF (%)")


def draw_grad_cam(path: Path, network: EjectionFractionNet, cases: Sequence[tuple[str, Tensor]]) -> None:
    """Write frames of the cases with what raised the predicted EF laid over them (Grad-CAM).

    Args:
        path: picture to write.
        network: network whose third stage is looked at: the last one has one place only in small clips.
        cases: names with (1, C, T, H, W) clips as the network takes them.

    References:
        Selvaraju et al., Grad-CAM, ICCV 2017
    """
    from monai.visualize.class_activation_maps import GradCAM

    if not cases:
        return
    device = next(network.parameters()).device
    frozen = [parameter.requires_grad for parameter in network.parameters()]
    network.requires_grad_(True)
    explain = GradCAM(nn_module=network, target_layers=f"encoder.blocks3.{len(network.encoder.blocks3) - 1}")
    with figure(path, 1.5 * SHOWN_FRAMES, 1.7 * len(cases), "Grad-CAM of the predicted EF") as made:
        grid = made.subplots(len(cases), SHOWN_FRAMES, squeeze=False)
        for line, (case, clip) in zip(grid, cases, strict=True):
            heat = torch.as_tensor(explain(clip.to(device), class_idx=0)[0, 0]).cpu().numpy()
            grey = _grey(clip[0])
            for axes, frame in zip(line, _spread(clip.shape[2]), strict=True):
                axes.imshow(grey[frame], cmap="gray")
                axes.imshow(1 - heat[frame], cmap="inferno", alpha=0.35, vmin=0, vmax=1)
                axes.set(xticks=[], yticks=[])
            line[0].set_ylabel(case, fontsize=7)
    for parameter, flag in zip(network.parameters(), frozen, strict=True):
        parameter.requires_grad_(flag)


def draw_clip(path: Path, clip: Tensor, title: str) -> None:
    """Write frames of a (C, T, H, W) clip in a row; the black ones that fill a short video's clip are left out."""
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, TITLE_LETTERS)]
    frames = list(dict.fromkeys(_spread(recorded_frames(clip))))
    grey, labels = list(_grey(clip)[frames]), [f"frame {frame + 1}" for frame in frames]
    with figure(path, 1.5 * SHOWN_FRAMES, 1.95 + 0.15 * len(lines), "\n".join(lines)) as made:
        show_tiles(made.subplots(), grey, labels, len(frames), cmap="gray", vmin=0, vmax=1)


def recorded_frames(clip: Tensor) -> int:
    """Return how many frames of a (C, T, H, W) clip there are up to the last that is not of one colour, at least 1."""
    varied = (clip != clip[:, :, :1, :1]).any(dim=3).any(dim=2).any(dim=0).nonzero()
    return int(varied.max()) + 1 if len(varied) else 1


def _spread(count: int) -> list[int]:
    return np.linspace(0, count - 1, SHOWN_FRAMES).round().astype(int).tolist()


def _grey(clip: Tensor) -> NDArray:
    """Return the frames (T, H, W), mean over channels, stretched from black to the clip's bright end."""
    grey = clip.float().mean(0)
    low, high = float(grey.min()), float(torch.quantile(grey.flatten()[:: max(1, grey.numel() // 100_000)], 0.995))
    return ((grey - low) / max(high - low, 1e-6)).clamp(0, 1).numpy()


def _in_the_plane(features: NDArray) -> tuple[NDArray, str]:
    """Return (N, 2) places and how they were made: UMAP if it is installed, t-SNE for many cases, or PCA."""
    try:
        from umap import UMAP
    except ImportError:
        UMAP = None
    if UMAP is not None and len(features) >= TSNE_FROM_CASES:
        return np.asarray(UMAP(random_state=0).fit_transform(features)), "UMAP"
    if len(features) >= TSNE_FROM_CASES:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, len(features) / 4)
        return np.asarray(TSNE(random_state=0, init="pca", perplexity=perplexity).fit_transform(features)), "t-SNE"
    from sklearn.decomposition import PCA

    return np.asarray(PCA(2).fit_transform(features)), "PCA"
