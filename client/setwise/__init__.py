"""Setwise client."""
