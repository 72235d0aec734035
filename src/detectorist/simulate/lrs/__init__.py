"""Simulated time series of MIRI's low-resolution spectrometer without a slit: transits."""
