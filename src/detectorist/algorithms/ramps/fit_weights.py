"""Weights of groups in the standard fit of ramps (Fixsen et al. 2000, PASP 112, 1350).

A group counts by a power of its distance from the middle of the ramp: of faint pixels all alike, of bright ones, whose
noise is that of photons, the first and the last. The signal over its noise tells the power.
"""

#: Powers of the distance, and the ratios of signal to noise from which each next one is used.
WEIGHT_POWERS, SNR_LIMITS = (0.0, 0.4, 1.0, 3.0, 6.0, 10.0), (5.0, 10.0, 20.0, 50.0, 100.0)
