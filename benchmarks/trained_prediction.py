"""How well hidden pixels can be predicted from seen ones by a linear rule that is trained on them.

Used by flight_noise.py: an argument for what can be had at all that knows neither a spectrum nor the order of readout.
The mean of the hidden pixels of a row (of a column) is predicted from means of seen pixels about it, with weights
fitted by least squares to the hidden pixels of other rows (columns): what no correction has.
"""

from __future__ import annotations

import numpy as np

#: Rows to either side that take part, and columns; groups of rows and of columns that are left out of the training
#: together, and their number.
ROWS_ABOUT, COLUMNS_ABOUT = (2, 4, 8), (1, 2, 4)
ROWS_TOGETHER, COLUMNS_TOGETHER, PARTS = 16, 32, 8
#: Fewest pixels behind a mean, and penalties (of the trace of the normal matrix) that are tried.
LEAST_PIXELS, PENALTIES = 60, (1e-4, 1e-3, 1e-2, 0.1)


def trained_pattern(noise: np.ndarray, seen: np.ndarray, hidden: np.ndarray, n_outputs: int) -> np.ndarray:
    """Return the noise of rows and columns that the best of the rules predicts, (ny, nx), each part by itself.

    noise : (ny, nx). seen, hidden : bool, same shape, True where pixels tell the noise, and where they are predicted.
    """
    columns = _means(noise, seen | hidden, 0)
    rows = _rows(noise - columns, seen, hidden, n_outputs)
    wide = np.repeat(rows.T, noise.shape[1] // n_outputs, axis=1)
    return wide + _best(*_columns(noise - wide, seen, hidden))


def _rows(noise, seen, hidden, n_outputs):
    """Return the predicted noise of rows, (n_outputs, ny)."""
    data, told, wanted = (np.array(np.split(one, n_outputs, axis=1)) for one in (noise, seen, hidden))
    means, target = _means(data, told, 2), _means(data, wanted, 2)
    known = (told.sum(axis=2) > LEAST_PIXELS) & (wanted.sum(axis=2) > LEAST_PIXELS)
    others = (means.sum(axis=0) - means) / (n_outputs - 1)
    parts = np.broadcast_to(np.arange(means.shape[1]) // ROWS_TOGETHER % PARTS, means.shape)
    rules = [
        np.stack([np.roll(one, k, axis=1) for k in range(-n, n + 1) for one in (means, others)], axis=-1)
        for n in ROWS_ABOUT
    ]
    return _best(rules, target, known, parts)


def _columns(noise, seen, hidden):
    means, target = _means(noise, seen, 0), _means(noise, hidden, 0)
    known = (seen.sum(axis=0) > LEAST_PIXELS) & (hidden.sum(axis=0) > LEAST_PIXELS)
    parts = np.arange(means.size) // COLUMNS_TOGETHER % PARTS
    rules = [np.stack([np.roll(means, k) for k in range(-n, n + 1)], axis=-1) for n in COLUMNS_ABOUT]
    return rules, target, known, parts


def _best(rules, target, known, parts):
    """Return the prediction that comes nearest to the target, of all rules and penalties."""
    tries = [_predicted(rule, target, known, parts, penalty) for rule in rules for penalty in PENALTIES]
    return min(tries, key=lambda one: float(((target - one)[known] ** 2).mean()))


def _predicted(rule, target, known, parts, penalty):
    """Return for every part of the data what the rule says that was trained on all others."""
    found = np.zeros(target.shape)
    for part in np.unique(parts):
        rows = known & (parts != part)
        normal = rule[rows].T @ rule[rows]
        normal += penalty * np.trace(normal) / len(normal) * np.eye(len(normal))
        found[parts == part] = rule[parts == part] @ np.linalg.solve(normal, rule[rows].T @ target[rows])
    return found


def _means(values, which, axis):
    return np.where(which, values, 0).sum(axis=axis) / np.maximum(which.sum(axis=axis), 1)
