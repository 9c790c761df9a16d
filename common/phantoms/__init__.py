"""Simulated data with known answers, written in the layouts of public datasets."""
