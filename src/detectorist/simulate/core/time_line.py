"""1/f noise of NIRCam's electronics, simulated on the time line of the readout.

All outputs run at the same time, pixel after pixel, with a pause at the end of every row and of every frame; each has
its own columns and direction. Slow noise in time becomes stripes along the rows of an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.detectors import NircamDetector
from detectorist.errors import ParameterError
from detectorist.simulate.core.random_streams import one_over_f


@dataclass(frozen=True)
class TimeLine:
    """The order in which the pixels of a frame are read.

    Attributes
    ----------
    n_rows, n_cols : int
        Of the frame or subarray.
    n_outputs : int
        Stripes of columns that are read at once; neighbours run in opposite directions.
    fast_direction : int
        As the sign of FASTAXIS: +1 where the detector's first output is the leftmost of the image and read toward
        higher columns; -1 where the image is mirrored, the first output the rightmost and read toward lower ones.
        With four outputs the leftmost is read toward higher columns either way (pynrc, `pixel_timing_map` and
        `det_to_sci`).
    slow_direction : int
        +1 where row 0 is read first.
    row_overhead_clocks : int
        Pixel clocks between two rows.
    frame_overhead_rows : int
        Rows' time between two frames: 1 on a full frame, 2 on a subarray (pynrc).
    """

    n_rows: int
    n_cols: int
    n_outputs: int = 1
    fast_direction: int = 1
    slow_direction: int = 1
    row_overhead_clocks: int = 12
    frame_overhead_rows: int = 2

    def __post_init__(self) -> None:
        """Refuse columns that the outputs cannot share, and directions that are none."""
        if self.n_outputs < 1 or self.n_cols % self.n_outputs:
            raise ParameterError(f"{self.n_cols} columns cannot be shared by {self.n_outputs} outputs")
        if {self.fast_direction, self.slow_direction} - {-1, 1}:
            raise ParameterError("scan directions are +1 or -1")

    @classmethod
    def of(cls, detector: NircamDetector, n_rows: int, n_cols: int) -> TimeLine:
        """Return the time line of a NIRCam detector: four outputs on its full frame, one on a subarray."""
        full = (n_rows, n_cols) == (detector.n_rows, detector.n_cols)
        return cls(
            n_rows,
            n_cols,
            n_outputs=detector.n_outputs if full else 1,
            fast_direction=1 if detector.fast_axis > 0 else -1,
            row_overhead_clocks=detector.row_overhead_clocks,
            frame_overhead_rows=1 if full else 2,
        )

    @property
    def width(self) -> int:
        """Columns of one output."""
        return self.n_cols // self.n_outputs

    @property
    def row_clocks(self) -> int:
        """Pixel clocks per row."""
        return self.width + self.row_overhead_clocks

    @property
    def frame_clocks(self) -> int:
        """Pixel clocks per frame."""
        return self.row_clocks * (self.n_rows + self.frame_overhead_rows)

    def images(self, series: np.ndarray) -> np.ndarray:
        """Return what each pixel sees of a time series per output.

        series : ndarray, shape (n_outputs, n_frames * frame_clocks)
            One sample per pixel clock.

        Returns
        -------
        ndarray, shape (n_frames, n_rows, n_cols)
        """
        frames = series.reshape(self.n_outputs, -1, self.n_rows + self.frame_overhead_rows, self.row_clocks)
        frames = frames[:, :, : self.n_rows, : self.width][:, :, :: self.slow_direction]
        image = np.empty((frames.shape[1], self.n_rows, self.n_cols), series.dtype)
        first = 0 if self.fast_direction > 0 else self.n_outputs - 1
        for output in range(self.n_outputs):
            direction = self.fast_direction * (-1) ** abs(output - first)
            image[..., output * self.width : (output + 1) * self.width] = frames[output][..., ::direction]
        return image


def draw_flicker(
    time_line: TimeLine, n_frames: int, rng: np.random.Generator, *, common: float, own: float = 0.0, slope: float = 1.0
) -> np.ndarray:
    """Draw the 1/f noise of consecutive frames, shape (n_frames, n_rows, n_cols), in the unit of `common`.

    common, own : float
        Rms over the whole time of the noise that all outputs share, and of each output's own.
    slope : float
        Power falls as frequency ** -slope.

    Notes
    -----
    One series runs through all frames, pauses included, so that slow noise shifts one frame against the next. Cost:
    n_outputs + 1 FFTs of 2 n_frames frame_clocks samples; frames that are averaged or skipped count.
    """
    n = n_frames * time_line.frame_clocks
    series = np.zeros((time_line.n_outputs, n), np.float32)
    if common:
        series += (common * one_over_f(n, rng, slope=slope)).astype(np.float32)
    if own:
        series += np.array([own * one_over_f(n, rng, slope=slope) for _ in series], np.float32)
    return time_line.images(series)
