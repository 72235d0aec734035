"""Linearity and inter-pixel capacitance of ramps: stock's arithmetic, bit for bit, in one pass each.

Both change the ramp they are given, as the stock steps do: a second copy of a full-frame ramp would double the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from detectorist.engine import NotCovered
from detectorist.engine.flags import SATURATED
from detectorist.engine.lines import wide
from detectorist.engine.threads import over_ranges
from detectorist.libraries import idle_cores

#: Rows whose coefficients are turned into the machine's byte order together.
_ROWS_TOGETHER = 32


def linearize(
    data: np.ndarray,
    groupdq: np.ndarray,
    pixeldq: np.ndarray,
    coefficients: np.ndarray,
    lin_dq: np.ndarray,
    *,
    zeroframe: np.ndarray | None = None,
    inverse: np.ndarray | None = None,
    read_pattern: list[list[int]] | None = None,
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Correct ramps for non-linearity, in place, as stcal's `linearity_correction` does.

    Parameters
    ----------
    data : ndarray of float32, shape (n_ints, n_groups, ny, nx), C order
        Ramps in DN, changed in place; SATURATED groups are left as they are.
    groupdq, pixeldq : ndarray of uint8, of uint32, shapes as the ramp's and (ny, nx)
    coefficients : ndarray of float32, shape (n_coefficients, ny, nx), n_coefficients >= 2
        Polynomial of every pixel, constant term first; not modified. Unusable ones (NO_LIN_CORR in `lin_dq`, a NaN, no
        linear term) stand for no correction.
    lin_dq : ndarray of uint32, shape (ny, nx)
        Flags of the reference.
    zeroframe : ndarray of float32, shape (n_ints, ny, nx), or None
        First frames, 0 for unknown.
    inverse, read_pattern : ndarray of float32, shape (n_inverse, ny, nx), and list of lists of int, or None
        Polynomials back to what is measured, and the numbers of the frames averaged into each group: with them every
        frame is corrected by itself.

    Returns
    -------
    pixeldq, zeroframe : new arrays; NO_LIN_CORR is set where the coefficients turned out to be unusable.

    Raises
    ------
    NotCovered
        For frames of a single group, or groups of different numbers of frames.

    Notes
    -----
    Cost: one pass over the ramp for each coefficient, in cache.
    """
    pixels = np.ascontiguousarray(np.array(pixeldq, np.uint32) | lin_dq)
    flags = np.ascontiguousarray(groupdq, np.uint8)
    zeros = None if zeroframe is None else np.array(zeroframe, np.float32, order="C")[:, np.newaxis]
    ramps = [] if zeros is None else [(zeros, np.where(zeros == 0, np.uint8(SATURATED), np.uint8(0)))]
    if inverse is None:
        ramps.insert(0, (data, flags))
    else:
        forward = _usable_terms(coefficients, lin_dq, pixels, threads)
        backward = _usable_terms(inverse, lin_dq, pixels, threads)
        _linearize_reads(data, flags, forward, backward, read_pattern, threads)
    _linearize_rows(ramps, coefficients, lin_dq, pixels, threads)
    return pixels, None if zeros is None else zeros[:, 0]


def _linearize_rows(ramps, coefficients: np.ndarray, lin_dq: np.ndarray, pixels: np.ndarray, threads: int) -> None:
    """Correct ramps, pairs of samples and flags, some rows at a time.

    References come in another byte order: the coefficients of all rows, turned, would take as much again as they do.
    """
    from detectorist.engine import _correct_nb as kernels

    ramps = [(wide(data), wide(flags)) for data, flags in ramps]
    coefficients, lin_dq, pixels = (wide(np.ascontiguousarray(one)) for one in (coefficients, lin_dq, pixels))
    n_rows = len(pixels) if threads > 1 else _ROWS_TOGETHER

    def correct(first: int) -> None:
        rows = slice(first, min(first + n_rows, len(pixels)))
        terms, unusable = _usable_terms(coefficients[:, rows], lin_dq[rows], pixels[rows], threads)
        for data, flags in ramps:
            corrected = partial(kernels.linearize_rows, data, flags, terms, unusable, first)
            over_ranges(partial(_shifted, corrected, first), rows.stop - first, threads=threads)

    idle_cores.each(correct, range(0, len(pixels) if ramps else 0, n_rows))


def _shifted(kernel: Callable[[int, int], None], first: int, start: int, stop: int) -> None:
    kernel(first + start, first + stop)


def _usable_terms(
    terms: np.ndarray, lin_dq: np.ndarray, pixels: np.ndarray, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients and where they are unusable, and note these pixels in `pixels`."""
    from detectorist.engine import _correct_nb as kernels

    terms = np.ascontiguousarray(terms, np.float32)
    unusable = np.empty(pixels.shape, bool)
    lin_dq = np.ascontiguousarray(lin_dq, np.uint32)
    over_ranges(kernels.find_unusable, len(pixels), terms, lin_dq, pixels, unusable, threads=threads)
    return terms, unusable


def _linearize_reads(data, flags, forward, inverse, read_pattern, threads: int) -> None:
    from detectorist.engine._reads_nb import linearize_reads

    if len({len(frames) for frames in read_pattern}) != 1 or data.shape[1] < 2:
        raise NotCovered("groups hold different numbers of frames, or there is one group")
    frames = np.array(read_pattern, float)
    since_first = frames - np.mean(read_pattern[0])
    over_ranges(linearize_reads, data.shape[2], data, flags, *forward, *inverse, since_first, threads=threads)


def convolve(
    data: np.ndarray, kernel: np.ndarray, *, reference_edges: tuple[int, int, int, int], threads: int = 1
) -> None:
    """Convolve every group with a small kernel, in place, as stock does to undo inter-pixel capacitance.

    Parameters
    ----------
    data : ndarray of float32, shape (..., ny, nx), C order
        Changed in place.
    kernel : ndarray of float32, two-dimensional, of odd numbers of rows and columns
    reference_edges : tuple of int
        Reference rows at the bottom and top, columns at the left and right: left alone, and no neighbours.

    Raises
    ------
    NotCovered
        For a kernel of another shape or type.
    """
    from detectorist.engine import _correct_nb as kernels

    if kernel.ndim != 2 or not all(n % 2 for n in kernel.shape) or kernel.dtype.newbyteorder("=") != np.float32:
        raise NotCovered(
            f"the kernel has shape {kernel.shape} and type {kernel.dtype}; odd numbers of rows and columns of float32 "
            "are needed"
        )
    planes = data.reshape(-1, *data.shape[-2:])
    kernel = np.ascontiguousarray(kernel, np.float32)
    over_ranges(kernels.convolve_planes, len(planes), planes, kernel, *map(int, reference_edges), threads=threads)
