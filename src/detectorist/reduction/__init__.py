"""One exposure from files to products, whatever the mode."""
