"""Images of rates: sources, diffuse light, wisps, the halo of a star, noise of pixels."""
