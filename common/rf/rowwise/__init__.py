"""LiteFlowNet's stages a few rows at a time: what is between their layers stays in the processor's cache."""
