"""Spectra through time: profile, trace, extraction, alignment, outliers, background, light curves."""
