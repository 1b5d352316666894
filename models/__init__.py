"""Networks as plain torch modules: tensors in, tensors out. No files, no network access, no interface."""
