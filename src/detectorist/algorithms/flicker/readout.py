"""The order in which a detector's pixels are read, and images as series in that order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.errors import ParameterError

#: Pixel times that a NIRCam output spends between two rows (JDox, NIRCam detector readout).
ROW_OVERHEAD_PIX = 12
#: Pixels averaged before the smoother: what is faster than a block is hidden by the white noise of its pixels.
BLOCK_PIX = 4


@dataclass(frozen=True)
class Readout:
    """The order in which the pixels of an image are read.

    outputs : tuple of (first column, past-last column, direction)
        One entry per output, all of the same width; direction +1 when its columns are read left to right, -1
        right to left.
    slow_direction : int
        +1 when row 0 is read first, -1 when it is read last.
    overhead_pix : int
        Pixel times between the last pixel of a row and the first of the next.
    """

    outputs: tuple[tuple[int, int, int], ...]
    slow_direction: int = 1
    overhead_pix: int = ROW_OVERHEAD_PIX

    def __post_init__(self):
        """Refuse outputs of different widths and directions that are none."""
        widths = {last - first for first, last, _ in self.outputs}
        if len(widths) != 1 or min(widths) < 1:
            raise ParameterError(f"outputs {self.outputs}: all of one positive width are needed")
        if {direction for *_, direction in self.outputs} - {-1, 1} or self.slow_direction not in (-1, 1):
            raise ParameterError("scan directions are +1 or -1")

    @property
    def width(self) -> int:
        """Columns of one output."""
        first, last, _ = self.outputs[0]
        return last - first


def alternating_readout(nx: int, n_outputs: int = 1, *, fast_direction: int = 1, slow_direction: int = 1) -> Readout:
    """Return the readout of `n_outputs` stripes of columns whose neighbours are scanned in opposite directions.

    fast_direction, slow_direction : int
        Directions of the detector's first output in the image, +1 or -1: the signs of FASTAXIS and SLOWAXIS. The first
        output is the leftmost where it is scanned to the right, else the rightmost.

    Raises ParameterError when `nx` is not a multiple of `n_outputs`.

    Notes
    -----
    On a NIRCam detector the first output is read toward higher columns and its neighbours in turn the other way
    (pynrc, `pixel_timing_map`); images of A1, A3, A5, B2 and B4 are that mirrored left to right, the others upside
    down (pynrc, `det_to_sci`; FASTAXIS -1 and SLOWAXIS -2 in the headers). Mirroring four outputs puts the last,
    turned, in the place of the first: on a full frame of any of the ten the leftmost output scans to the right.
    Through one output, as in subarrays, the whole row follows FASTAXIS.
    """
    if n_outputs < 1 or nx % n_outputs:
        raise ParameterError(f"{nx} columns cannot be shared by {n_outputs} outputs")
    width = nx // n_outputs
    first = 0 if fast_direction > 0 else n_outputs - 1
    outputs = tuple(
        (k * width, (k + 1) * width, int(fast_direction) * (-1) ** abs(k - first)) for k in range(n_outputs)
    )
    return Readout(outputs, int(slow_direction))


class Blocks:
    """Means of a few neighbouring pixels, in the order of readout: arrays (n_outputs, n_rows * n_blocks)."""

    def __init__(self, readout: Readout, n_rows: int, *, block_pix: int = BLOCK_PIX):
        self.readout, self.n_rows, self.block_pix = readout, n_rows, block_pix
        self.per_row = -(-readout.width // block_pix)
        self.row_pix = readout.width + readout.overhead_pix

    def average(self, image, usable, offsets, model, clip):
        """Return means (float32) and counts (uint16) of the blocks."""
        from detectorist.algorithms.flicker._smoother_nb import block_means

        backwards = self.readout.slow_direction < 0
        pairs = [
            block_means(image, usable, offsets, model, *output, backwards, self.block_pix, clip)
            for output in self.readout.outputs
        ]
        return np.array([mean for mean, _ in pairs]), np.array([count for _, count in pairs])

    def paint(self, values, *, straight):
        """Return values (n_steps, n_outputs) of the blocks on the pixels, (ny, nx) float32."""
        from detectorist.algorithms.flicker._smoother_nb import fill_pixels

        backwards = self.readout.slow_direction < 0
        image = np.zeros((self.n_rows, max(last for _, last, _ in self.readout.outputs)), np.float32)
        for k, output in enumerate(self.readout.outputs):
            one = np.ascontiguousarray(values[:, k])
            fill_pixels(one, image, *output, backwards, self.block_pix, straight)
        return image

    def decay(self, scales_pix):
        """Return the factors (2, n_states) from one block to the next and from a row to the next."""
        across = self.row_pix - (self.per_row - 1) * self.block_pix
        return np.exp(-np.array([[self.block_pix], [across]]) / scales_pix)

    def lags(self):
        """Return lags in rows and in blocks, (n_lags,) each: doubling, to half a row and a third of the rows."""
        within = 2 ** np.arange(int(np.log2(max(self.per_row // 2, 1))) + 1)
        within = within[within < self.per_row]
        rows = 2 ** np.arange(int(np.log2(max(self.n_rows // 3, 1))) + 1)
        return np.r_[0 * within, rows], np.r_[within, 0 * rows]

    def columns(self, k):
        """Return the centres (per_row,) of output k's blocks on the detector, in the order of readout."""
        first, last, direction = self.readout.outputs[k]
        centres = np.minimum((np.arange(self.per_row) + 0.5) * self.block_pix, self.readout.width) - 0.5
        return first + centres if direction > 0 else last - 1 - centres
