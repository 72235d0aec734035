"""Small coronagraphic exposures of NIRCam and MIRI, with their references as a CRDS cache and their truth beside."""

import gc
from dataclasses import dataclass

import numpy as np
import pytest

SIZE = {"NIRCAM": (72, 80), "MIRI": (64, 72)}
GROUP_TIME = 4.0
GAIN, READ_NOISE_DN = 2.0, 6.0
BIAS, SATURATION = 8000.0, 50000.0
#: Pixels that count as saturated when asked (RC), and bad ones.
RC_PIXELS = ((10, 12), (50, 60))
BAD_PIXELS = ((20, 20), (33, 40))


@dataclass
class Exposure:
    """An uncal model, and what is in it."""

    model: object
    rate: np.ndarray  # (ny, nx) DN/s
    stripes: np.ndarray  # (n_ints, n_groups, ny, nx) DN
    ktc: np.ndarray  # (n_ints, ny, nx) DN


def halo(shape):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(yy - (shape[0] - 1) / 2, xx - (shape[1] - 1) / 2)
    return 0.8 + 60 / (1 + (radius / 4) ** 2.6) * (1 - 0.9 * np.exp(-((radius / 3) ** 2)))


def set_header(model, instrument, product, n_ints=1, n_groups=1):
    meta, nircam = model.meta, instrument == "NIRCAM"
    ny, nx = SIZE[instrument]
    meta.telescope, meta.instrument.name = "JWST", instrument
    meta.instrument.detector = "NRCALONG" if nircam else "MIRIMAGE"
    meta.instrument.filter = "F335M" if nircam else "F1140C"
    if nircam:
        meta.instrument.pupil, meta.instrument.module, meta.instrument.channel = "MASKRND", "A", "LONG"
    meta.instrument.coronagraph = "MASKA335R" if nircam else "4QPM_1140"
    meta.subarray.name = "SUB320A335R" if nircam else "MASK1140"
    meta.subarray.xstart, meta.subarray.ystart = (501, 1601) if nircam else (1, 245)
    meta.subarray.xsize, meta.subarray.ysize = nx, ny
    meta.subarray.fastaxis, meta.subarray.slowaxis = (-1, 2) if nircam else (1, 2)
    if product is None:
        return model
    exposure = meta.exposure
    exposure.type, exposure.readpatt = ("NRC_CORON", "RAPID") if nircam else ("MIR_4QPM", "FASTR1")
    exposure.nints, exposure.ngroups, exposure.nframes, exposure.groupgap = n_ints, n_groups, 1, 0
    exposure.integration_start, exposure.integration_end = 1, n_ints
    exposure.frame_time = exposure.group_time = GROUP_TIME
    exposure.integration_time = GROUP_TIME * n_groups
    exposure.noutputs, exposure.zero_frame, exposure.drop_frames1 = (1 if nircam else 4), False, 0
    exposure.nsamples, exposure.nresets_at_start, exposure.nresets_between_ints = 1, 1, 1
    exposure.start_time, exposure.mid_time, exposure.end_time = 61222.0, 61222.05, 61222.1
    meta.observation.date, meta.observation.time = "2026-07-01", "00:00:00.000"
    meta.filename = f"jw09999001001_02101_00001_{meta.instrument.detector.lower()}_{product}.fits"
    return model


def one_over_f(rng, rms, shape):
    n = shape[0] * (shape[1] + 12)
    frequency = np.fft.rfftfreq(n)
    amplitude = np.r_[0.0, frequency[1:] ** -0.5]
    line = np.fft.irfft(amplitude * (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)), n)
    return (rms * line / line.std()).reshape(shape[0], shape[1] + 12)[:, : shape[1]]


@pytest.fixture
def make_exposure(rng):
    """Return a function that makes an uncal of either instrument."""
    from stdatamodels.jwst import datamodels

    def make(instrument="NIRCAM", n_ints=3, n_groups=5, *, flicker=4.0, drift=0.0, outliers=(), brightness=1.0):
        shape = SIZE[instrument]
        rate = brightness * halo(shape)
        ktc = 20 * rng.normal(size=(n_ints, *shape))
        quanta = rng.poisson(rate * GROUP_TIME * GAIN, (n_ints, n_groups, *shape)) / GAIN
        stripes = np.stack([[one_over_f(rng, flicker, shape) for _ in range(n_groups)] for _ in range(n_ints)])
        if instrument == "MIRI":
            stripes *= 0
        data = BIAS + ktc[:, None] + np.cumsum(quanta, axis=1) + stripes
        data += drift * rng.normal(size=(n_ints, n_groups, 1, 1))
        data += READ_NOISE_DN * rng.normal(size=data.shape)
        for i, group, y, x, amplitude in outliers:
            data[i, group:, y, x] += amplitude
        for y, x in BAD_PIXELS:
            data[:, :, y, x] = 12.0
        model = datamodels.RampModel(data=np.clip(np.rint(data), 0, 65535).astype(np.float32))
        set_header(model, instrument, "uncal", n_ints, n_groups)
        return Exposure(model, rate, stripes, ktc)

    return make


def references(instrument, n_groups=12):
    """Yield (type, model) of all references of one instrument."""
    from stdatamodels.jwst import datamodels as dm

    shape = SIZE[instrument]

    def full(value):
        return np.full(shape, value, np.float32)

    flags = np.zeros(shape, np.uint32)
    mask = flags.copy()
    for place in RC_PIXELS:
        mask[place] |= 2**14
    for place in BAD_PIXELS:
        mask[place] |= 1
    yield "mask", dm.MaskModel(dq=mask)
    yield "saturation", dm.SaturationModel(data=full(SATURATION), dq=flags)
    coefficients = np.zeros((4, *shape), np.float32)
    coefficients[1] = 1.0
    yield "linearity", dm.LinearityModel(coeffs=coefficients, dq=flags)
    yield "gain", dm.GainModel(data=full(GAIN))
    yield "readnoise", dm.ReadnoiseModel(data=full(READ_NOISE_DN * np.sqrt(2)))
    if instrument == "NIRCAM":
        yield "superbias", dm.SuperBiasModel(data=full(BIAS), dq=flags, err=full(0))
        dark = dm.DarkModel(data=np.zeros((n_groups, *shape), np.float32), dq=flags)
        dark.meta.exposure.nframes, dark.meta.exposure.groupgap, dark.meta.exposure.ngroups = 1, 0, n_groups
        yield "dark", dark
        return
    dark = dm.DarkMIRIModel(data=np.zeros((2, n_groups, *shape), np.float32), dq=np.zeros((2, 1, *shape), np.uint32))
    dark.meta.exposure.nframes, dark.meta.exposure.groupgap = 1, 0
    dark.meta.exposure.ngroups, dark.meta.exposure.nints = n_groups, 2
    yield "dark", dark
    reset = dm.ResetModel(data=np.zeros((2, 2, *shape), np.float32), dq=flags)
    reset.meta.exposure.nints, reset.meta.exposure.ngroups = 2, 2
    yield "reset", reset


@pytest.fixture(scope="session")
def quick_steps():
    """Keep what is there now out of garbage collection, which stpipe calls for after every step."""
    import jwst.pipeline  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def coron_cache(tmp_path_factory):
    """The folder of a CRDS cache for both instruments."""
    from detectorist.simulate.core.crds_cache import CacheBuilder

    date = "2026-01-01T00:00:00.000"
    builder = CacheBuilder(tmp_path_factory.mktemp("coron") / "crds", date=date)
    for instrument in SIZE:
        for kind, model in references(instrument):
            set_header(model, instrument, None)
            model.meta.author, model.meta.pedigree, model.meta.useafter = "test", "DUMMY", "2020-01-01T00:00:00"
            model.meta.description = f"{kind} of a small coronagraphic subarray"
            builder.add(instrument.lower(), kind, model, {"META.INSTRUMENT.DETECTOR": model.meta.instrument.detector})
    return builder.finish()


@pytest.fixture
def coron_references(coron_cache, quick_steps):
    """Point this process at the references, for one test."""
    from detectorist import crds_source

    crds_source.use_references(coron_cache)
    return coron_cache
