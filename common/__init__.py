"""Losses, metrics, networks, transforms, handlers, readers and phantoms that the five bundles share."""
