"""Simulated NIRCam images of fields of stars and galaxies."""
