"""Records and products to one page."""
