"""The engine: images to feature sets, exact matching, collections on disk and search over them."""
