"""MIRI LRS slitless: raw ramps to spectra through time."""
