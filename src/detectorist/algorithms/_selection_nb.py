"""The k-th smallest of a few values, for every compiled median."""

from __future__ import annotations

from numba import njit


@njit(cache=True, error_model="numpy", nogil=True)
def kth_smallest(a, n, k):
    """Return the k-th smallest (from 0) of a[:n] and leave the smaller ones before it. No NaN. (Hoare's selection.)"""
    left, right = 0, n - 1
    while left < right:
        pivot = a[k]
        i, j = left, right
        while i <= j:
            while a[i] < pivot:
                i += 1
            while pivot < a[j]:
                j -= 1
            if i <= j:
                a[i], a[j] = a[j], a[i]
                i += 1
                j -= 1
        if j < k:
            left = i
        if k < i:
            right = j
    return a[k]
