"""A command has one numerical thread where its user does not say how many."""

import os
import subprocess
import sys

import pytest

from detectorist.libraries.numerical_threads import SETTINGS

COMMAND = """
import sys
sys.argv = ["detectorist", "run", "coron", "--help"]
from detectorist.cli import main
try:
    main()
finally:
    import scipy.linalg
    from threadpoolctl import threadpool_info
    print({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
"""


def threads_of_command(**said):
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        env={**environment, **said},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.splitlines()[-1]


def test_a_command_has_one_numerical_thread():
    assert threads_of_command() == "{1}"


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a pool has no more threads than the machine has cores")
@pytest.mark.parametrize("setting", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_a_command_has_as_many_as_its_user_says(setting):
    assert threads_of_command(**{setting: "2"}) == "{2}"
