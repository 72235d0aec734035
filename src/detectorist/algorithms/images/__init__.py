"""Images of rates: sources, diffuse light, large events, noise of pixels."""
