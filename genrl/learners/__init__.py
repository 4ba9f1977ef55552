"""Downstream offline learners, one a file."""
