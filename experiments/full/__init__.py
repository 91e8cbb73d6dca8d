"""Classifiers trained on whole datasets."""
