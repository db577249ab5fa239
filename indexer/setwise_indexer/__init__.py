"""The command line in bulk: images in, collection out."""
