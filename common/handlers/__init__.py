"""Ignite handlers for training, resuming, evaluating and writing results."""
