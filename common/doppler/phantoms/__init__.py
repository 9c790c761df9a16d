"""Simulated Doppler screens: flow, spectrum, everything else on the screen, and the files."""
