"""A beating heart, what a scanner makes of it, and the files of the data sets."""
