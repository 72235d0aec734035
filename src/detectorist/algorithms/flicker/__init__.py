"""1/f noise: a function of readout time, seen as stripes."""
