"""Karhunen-Loeve modes of images of reference stars (Soummer, Pueyo & Larkin 2012, ApJ 755, L28).

They are the right singular vectors of the images without their means, so that LAPACK's decomposition is all they need;
packages that offer them bring much else along.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Modes:
    """Modes of images on the pixels of a ring.

    Attributes
    ----------
    shapes : ndarray of float, shape (n_modes, n_pixels)
        Orthonormal, mean 0; the strongest first.
    recipe : ndarray of float, shape (n_modes, n_images)
        Each mode as a sum of the images (without their means).
    """

    shapes: np.ndarray
    recipe: np.ndarray

    def subtract(self, values: np.ndarray) -> np.ndarray:
        """Return the values (n_pixels,) without their mean and their part in the modes."""
        values = values - values.mean()
        return values - (self.shapes @ values) @ self.shapes

    def weights(self, values: np.ndarray) -> np.ndarray:
        """Return how much of each image (n_images,) is in what `subtract` takes from the values (n_pixels,)."""
        return (self.shapes @ (values - values.mean())) @ self.recipe


def karhunen_loeve_modes(images: np.ndarray, most: int) -> Modes:
    """Return the strongest modes of images: `most` of them, or fewer where the images are sums of fewer.

    images : ndarray of float, shape (n_images, n_pixels), n_pixels > n_images, finite.
    """
    flat = images - images.mean(axis=1, keepdims=True)
    combination, strength, shapes = np.linalg.svd(flat, full_matrices=False)
    # Directions within rounding of zero are no images: dividing by their strength would make noise of them.
    independent = int((strength > strength[0] * np.finfo(float).eps * max(flat.shape)).sum())
    n = min(most, independent)
    return Modes(shapes[:n], (combination[:, :n] / strength[:n]).T)
