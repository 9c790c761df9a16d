"""Optimizers of the papers that torch lacks."""

from common.optimizers.madgrad import Madgrad as Madgrad
