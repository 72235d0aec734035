"""Standard steps of stage 1 that run in the compiled engine where it supports the exposure, with the same results.

A module each, or one for several steps of a kind: a mode imports what the steps that it has need.
"""

from detectorist.libraries.waiting_packages import defer_replaced_packages

defer_replaced_packages()  # before standard steps import them
