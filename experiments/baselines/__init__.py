"""Nearest neighbours, class means and networks in NumPy on whole datasets."""
