"""Files to tensors and datalists: one module a modality, one function a public dataset layout."""
