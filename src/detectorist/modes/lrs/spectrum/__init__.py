"""From spectra through time to a transit or eclipse spectrum: settings, fit, result, files."""
