"""One exposure from files to products, in any mode."""
