"""Inter-pixel capacitance: a fraction of a pixel's signal appears in its neighbours."""

from __future__ import annotations

import numpy as np

from detectorist.simulate.imaging.components import ImagingComponents


def ipc_fraction(scene: ImagingComponents) -> float:
    """Return the fraction of a pixel's signal that appears in each of its four neighbours; 0 where it is left out."""
    return scene.ipc.fraction if scene.has("ipc") else 0.0


def coupling_kernel(fraction: float) -> np.ndarray:
    """Return the kernel of the coupling between neighbours, shape (3, 3), sum 1."""
    return np.array([[0, fraction, 0], [fraction, 1 - 4 * fraction, fraction], [0, fraction, 0]])


def decoupling_kernel(fraction: float) -> np.ndarray:
    """Return the kernel that undoes `coupling_kernel`, cut to 3 x 3 and of sum 1; its error is fraction ** 2."""
    padded = np.zeros((33, 33))
    padded[15:18, 15:18] = coupling_kernel(fraction)
    inverse = np.fft.fftshift(np.fft.ifft2(1 / np.fft.fft2(np.fft.ifftshift(padded))).real)[15:18, 15:18]
    return inverse / inverse.sum()
