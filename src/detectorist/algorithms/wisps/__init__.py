"""Wisps: stray light of a known shape in NIRCam images, and how strong it is under sources."""
