"""What stands behind `python -m common VERB`."""
