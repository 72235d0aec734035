"""Light curves in bins of wavelength, one ECSV table each: for lightkurve, astropy and other readers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from astropy.table import QTable
from astropy.time import Time

from detectorist.algorithms.spectra.binning import BinnedSpectra, bin_edges, bin_spectra
from detectorist.algorithms.spectra.light_curves import USEFUL_UM
from detectorist.atomic_files import whole_set
from detectorist.modes.lrs.export import mjd
from detectorist.modes.lrs.time_series import TimeSeries
from detectorist.reduction import products

#: A folder is written.
SUFFIX = "_light_curves"
#: Bins of half a micron, as is usual for this instrument.
DEFAULT_BINS_UM = 0.5


def write(
    series: TimeSeries,
    target: Path,
    *,
    bins: int | float | Sequence[float] = DEFAULT_BINS_UM,
    range_um: tuple[float, float] = USEFUL_UM,
) -> list[Path]:
    """Write a table per bin: `time` (BJD_TDB), `flux` and `flux_err` relative to the median, and the trace's motion.

    `lightkurve.LightCurve.read(FILE, format="ascii.ecsv")` reads one, `astropy.timeseries.TimeSeries.read` as well.
    The white light curve of the whole range is among them.
    """
    edges = bin_edges(bins, range_um, series.wavelength)
    whole, parts = edges[[0, -1]], edges
    written = []
    with whole_set(target) as partial:
        for label, used in (("white", whole), ("", parts)):
            binned = bin_spectra(series.wavelength, series.flux_at_fixed_wavelengths, series.flux_error, used)
            for k in range(binned.centre.size):
                name = f"{label or f'{binned.low[k]:.3f}-{binned.high[k]:.3f}um'}.ecsv"
                text = io.StringIO()
                light_curve_table(series, binned, k).write(text, format="ascii.ecsv")
                products.write_text(text.getvalue(), partial / name)
                written.append(target / name)
    return written


def light_curve_table(series: TimeSeries, binned: BinnedSpectra, number: int) -> QTable:
    """Return one light curve as a table."""
    table = QTable(
        {
            "time": Time(mjd(series), format="mjd", scale="tdb"),
            "flux": binned.flux[number],
            "flux_err": binned.flux_error[number],
            "exposure": series.exposure,
        }
    )
    for name in ("x_shift", "y_shift", "psf_sigma"):
        if name in series.series:
            table[name] = series.series[name]
    table.meta = {
        "wavelength_um": float(binned.centre[number]),
        "wavelength_low_um": float(binned.low[number]),
        "wavelength_high_um": float(binned.high[number]),
        "n_elements": int(binned.n_elements[number]),
        "LABEL": str(series.attributes.get("target", "")),
        "times": "at the solar system barycentre",
        "code": str(series.attributes.get("code", "")),
    }
    return table
