"""MIRI LRS slitless: raw ramps to time-resolved spectra."""
