"""Transforms of the five papers as array and dictionary pairs."""
