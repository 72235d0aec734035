"""Quality of the coronagraphy corrections on scenes whose truth is known: what every figure means.

A scene is two sets of arrays: `z` as a pipeline sees it, `t` the truth. Integrations: data, err, dq
(n_ints, ny, nx) with scene, oneoverf, vert, outlier, bad; ramps: data, groupdq (n_ints, n_groups, ny, nx),
group_time, sat with ktc, oneoverf, rate.
"""

from __future__ import annotations

import warnings

import numpy as np

from measure import robust_std

JUMP = 4
#: Distance from the star, pixels, within which light is halo and beyond which pixels are scored as background.
NEAR_PIX, FAR_PIX = 40, 60


def distance(shape) -> np.ndarray:
    """Return (ny, nx) the distance from the centre of the image, where the star is."""
    yy, xx = np.mgrid[: shape[-2], : shape[-1]]
    return np.hypot(yy - (shape[-2] - 1) / 2, xx - (shape[-1] - 1) / 2)


def usable(t) -> np.ndarray:
    """Return where integrations are good, (n_ints, ny, nx) bool."""
    return ~t["bad"][None] & ~t["outlier"]


def stripes_left(z, t, cube) -> dict[str, float]:
    """Return what is left of the stripes: rms of rows, of pixels far from the star, and the change of the halo in %."""
    left = np.where(usable(t), cube - z["data"] + t["oneoverf"] + t["vert"], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # bad pixels have no mean
        rows = np.nanmean(left, axis=2) - np.nanmean(left, axis=(1, 2))[:, None]
        radius = distance(cube.shape)
        far = left[:, radius > FAR_PIX]
        mean = np.nanmean(left, axis=0)
        near = (radius <= NEAR_PIX) & np.isfinite(mean)
        change = (mean[near] - np.nanmedian(mean[radius > FAR_PIX])).sum() / t["scene"].mean(axis=0)[near].sum()
    return {
        "rows": float(np.nanstd(rows)),
        "pixels": float(np.nanstd(far - np.nanmedian(far))),
        "halo_pct": float(100 * abs(change)),
    }


def pulls(z, t, cube, variance, mean_variance) -> tuple[float, float]:
    """Return the width of the pulls of rates of integrations and of their mean."""
    good = usable(t)
    pull = ((cube - t["scene"]) / np.sqrt(z["err"] ** 2 + variance))[good]
    n_used = np.maximum(good.sum(axis=0), 1)
    rate = np.where(good, cube, 0).sum(axis=0) / n_used
    error = np.sqrt(np.where(good, z["err"] ** 2, 0).sum(axis=0) / n_used**2 + mean_variance)
    known = error > 0
    return robust_std(pull), robust_std((rate - t["scene"].mean(axis=0))[known] / error[known])


def companion_changes(z, t, stripes_of, *, seed, n_trials) -> np.ndarray:
    """Return what the correction takes from companions put in, one at a time, in units of the error of their flux.

    stripes_of : callable
        stripes_of(cube) returns the stripes (n_ints, ny, nx) that would be subtracted. Those with a companion minus
        those without are its light. Companions of 3 to 40 sigma lie anywhere 15 pixels and more from star and edge;
        flux is that of an aperture of 3 pixels less the median of a ring of 6 to 9.
    """
    rng = np.random.default_rng(seed)
    size = z["data"].shape[-1]
    yy, xx = np.mgrid[:size, :size]
    good, centre = ~t["bad"], (size - 1) / 2
    before = stripes_of(z["data"]).mean(axis=0, dtype=float)
    changes = []
    for significance in np.geomspace(3, 40, n_trials):
        radius, angle = rng.uniform(15, size / 2 - 15), rng.uniform(0, 2 * np.pi)
        apart = np.hypot(yy - centre - radius * np.sin(angle), xx - centre - radius * np.cos(angle))
        aperture, ring = good & (apart < 3), good & (apart > 6) & (apart < 9)
        sigma = np.sqrt((z["err"][0][aperture] ** 2).sum() / len(z["data"]))
        light = significance * sigma * np.exp(-0.5 * apart**2) / (2 * np.pi)
        taken = stripes_of((z["data"] + light).astype(np.float32)).mean(axis=0, dtype=float) - before
        changes.append((taken[aperture].sum() - aperture.sum() * np.median(taken[ring])) / sigma)
    return np.array(changes)


def slope_rows(z, t, ramp, times) -> float:
    """Return the rms (DN/s) of the rows of the slopes; ramps with a jump, and one offset for each image, left out."""
    weight = (times - times.mean()) / ((times - times.mean()) ** 2).sum()
    slopes = np.einsum("igyx,g->iyx", ramp.astype(float), weight) - t["rate"]
    slopes[((z["groupdq"] & JUMP) > 0).any(axis=1)] = np.nan
    return float(np.nanstd(np.nanmean(slopes, axis=2) - np.nanmean(slopes, axis=(1, 2))[:, None]))


def offsets_left(z, t, offset) -> tuple[float, float]:
    """Return the rms (DN) of measured minus true offsets, on ramps without and with a jump."""
    jump = ((z["groupdq"] & JUMP) > 0).any(axis=1)
    left = offset - t["ktc"]
    left = left - np.median(left)
    return float(left[~jump].std()), float(left[jump].std())


def outliers_found(z, t, flagged, *, threshold_sigma=15.0) -> tuple[float, int]:
    """Return the share of outliers of `threshold_sigma` and more that are flagged, and the number of false ones."""
    good = np.broadcast_to(~t["bad"], flagged.shape)
    strength = np.abs(z["data"] - t["scene"] - t["oneoverf"] - t["vert"]) / z["err"]
    wanted = t["outlier"] & good & (strength >= threshold_sigma)
    return float(flagged[wanted].mean()), int((flagged & good & ~t["outlier"]).sum())


def one_over_f(rng, shape, *, rms=1.0, slope=1.0) -> np.ndarray:
    """Return (ny, nx) noise whose power falls as 1/f**slope on the time line of one output, overheads included."""
    n = shape[0] * (shape[1] + 12)
    frequency = np.fft.rfftfreq(n)
    amplitude = np.r_[0.0, frequency[1:] ** (-slope / 2)]
    line = np.fft.irfft(amplitude * (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)), n)
    return (rms * line / line.std()).reshape(shape[0], shape[1] + 12)[:, : shape[1]]


def make_integrations(seed, *, n_ints=20, size=320, rms=0.8, slope=1.0, bad_fraction=0.003, white=0.5, columns=0.15):
    """Return (z, t) of integrations with a star behind a mask, stripes, outliers and bad pixels."""
    rng = np.random.default_rng(seed)
    shape = (n_ints, size, size)
    radius = distance(shape)
    yy, xx = np.mgrid[:size, :size] - (size - 1) / 2
    speckles = 1 + 0.3 * np.sin(1.3 * xx + 0.7 * yy) * np.cos(0.9 * yy - 0.5 * xx) * np.exp(-radius / 60)
    light = 120 / (1 + (radius / 9) ** 2.4) * speckles * (1 - 0.9 * np.exp(-((radius / 5) ** 2)))
    light += 4 * np.abs(np.cos(3 * np.arctan2(yy, xx))) ** 40 / (1 + (radius / 30) ** 2)
    scene = np.broadcast_to(light + 0.6, shape)
    err = np.sqrt(white**2 + 0.02 * scene)
    stripes = np.stack([one_over_f(rng, shape[1:], rms=rms, slope=slope) for _ in range(n_ints)])
    vertical = columns * rng.normal(size=(n_ints, 1, size)) * np.ones((1, size, 1))
    data = scene + stripes + vertical + err * rng.normal(size=shape)
    outlier = rng.random(shape) < 0.001
    data[outlier] += err[outlier] * np.exp(rng.uniform(np.log(15), np.log(300), outlier.sum()))
    bad = rng.random(shape[1:]) < bad_fraction
    data[:, bad] = np.nan
    dq = np.broadcast_to(bad, shape).astype(np.uint32)
    z = {"data": data.astype(np.float32), "err": err.astype(np.float32), "dq": dq}
    return z, {"scene": scene, "oneoverf": stripes, "vert": vertical, "outlier": outlier, "bad": bad}


def make_ramps(seed, *, n_ints=10, n_groups=4, size=320, rms=6.0, slope=1.0):
    """Return (z, t) of ramps with kTC noise, stripes and flagged cosmic rays."""
    rng = np.random.default_rng(seed)
    group_time, gain, read_noise = 4.28, 1.85, 9.0
    rate = 0.6 + 120 / (1 + (distance((size, size)) / 9) ** 2.4)
    shape = (n_ints, n_groups, size, size)
    ktc = 35 * rng.normal(size=(n_ints, size, size))
    data = np.cumsum(rng.poisson(rate * group_time * gain, shape) / gain, axis=1) + ktc[:, None]
    stripes = np.stack(
        [[one_over_f(rng, shape[2:], rms=rms, slope=slope) for _ in range(n_groups)] for _ in range(n_ints)]
    )
    data += stripes + read_noise * rng.normal(size=shape)
    groupdq = np.zeros(shape, np.uint8)
    for i in range(n_ints):
        for group in range(1, n_groups):
            y, x = rng.integers(0, size, (2, 60))
            data[i, group:, y, x] += rng.uniform(200, 5000, 60)[:, None]
            groupdq[i, group, y, x] |= JUMP
    z = {"data": data.astype(np.float32), "groupdq": groupdq, "group_time": group_time}
    z["sat"] = np.full(shape[2:], 50000, np.float32)
    return z, {"ktc": ktc, "oneoverf": stripes, "rate": rate}
