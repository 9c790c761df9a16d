"""Loss functions of the five papers that MONAI lacks."""
