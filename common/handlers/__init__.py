"""Ignite handlers for training, resuming, evaluating and writing results."""

from common.handlers.clips import ClipInferer as ClipInferer
from common.handlers.clips import PrepareViews as PrepareViews
