"""Generative methods, one a file."""
