"""Generative adversarial networks for very little data: trained, measured, and used as training data."""
