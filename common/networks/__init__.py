"""Networks of the five papers, readable from their published checkpoints by key."""
