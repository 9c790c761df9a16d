"""Table 1 of Abdi et al., MIDL 2024: precision, recall, f1, bias and standard deviation (cm/s) of E and of A."""

METRICS = ("precision", "recall", "f1", "bias_cm_s", "sd_cm_s")

# Backbone and mode: the five figures of E, then of A.
TABLE_1: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "EfficientNetB0 unfrozen": ((0.91, 0.92, 0.92, 2.65, 8.36), (0.93, 0.81, 0.87, -0.05, 4.52)),
    "EfficientNetB0 frozen": ((0.71, 0.79, 0.75, 2.01, 11.14), (0.82, 0.66, 0.73, 0.85, 7.36)),
    "EfficientNetB0 supervised": ((0.85, 0.90, 0.87, 1.74, 5.17), (0.92, 0.78, 0.84, 0.56, 8.15)),
    "MobileNetV2 unfrozen": ((0.79, 0.81, 0.80, 1.83, 8.83), (0.84, 0.63, 0.72, -0.53, 4.47)),
    "MobileNetV2 frozen": ((0.78, 0.79, 0.78, 1.03, 8.29), (0.81, 0.75, 0.78, 0.18, 13.37)),
    "MobileNetV2 supervised": ((0.92, 0.79, 0.85, 4.54, 12.57), (0.87, 0.69, 0.77, 5.02, 20.39)),
    "ResNet50 unfrozen": ((0.85, 0.88, 0.87, 1.89, 5.18), (0.89, 0.74, 0.81, 0.54, 12.33)),
    "ResNet50 frozen": ((0.71, 0.86, 0.78, 1.45, 6.40), (0.81, 0.71, 0.75, 0.17, 11.34)),
    "ResNet50 supervised": ((0.88, 0.87, 0.87, 2.19, 12.78), (0.92, 0.77, 0.84, 0.25, 5.25)),
}


def published_figure(arm: str, wave: str, metric: str) -> float | None:
    """Return the figure of an arm such as "ResNet50 frozen" for wave E or A; None where the paper has no such arm."""
    figures = TABLE_1.get(arm)
    return figures["EA".index(wave)][METRICS.index(metric)] if figures else None
