"""Look at the data: wrong labels, outliers, duplicates, bad photos, shortcuts; and which to label next."""
