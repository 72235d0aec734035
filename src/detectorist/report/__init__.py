"""Records and products to one web page."""
