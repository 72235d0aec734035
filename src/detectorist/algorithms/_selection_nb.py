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


@njit(cache=True, error_model="numpy", nogil=True)
def middle_two(a, n):
    """Return the two values in the middle of a[:n], the same twice where n is odd; reorders `a`. No NaN, n > 0."""
    upper = kth_smallest(a, n, n // 2)
    if n & 1:
        return upper, upper
    lower = a[0]
    for k in range(1, n // 2):
        lower = max(lower, a[k])
    return lower, upper


@njit(cache=True, error_model="numpy", nogil=True)
def middle_between(kept, number, below, n):
    """Return the median of n values of which `below` are smaller than all of kept[:number], which hold the middle."""
    upper = kth_smallest(kept, number, n // 2 - below)
    if n % 2:
        return upper
    lower = kept[0]
    for k in range(1, n // 2 - below):
        lower = max(lower, kept[k])
    return (lower + upper) / 2.0
