#!/usr/bin/env bash
# Install a wheel without extras in a new environment, and simulate, run and report a tiny exposure there.
# usage: wheel.sh WHEEL PYTHON
set -euo pipefail
wheel=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$2" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --no-cache-dir "$wheel"
cd "$folder"
env/bin/detectorist simulate lrs -o sim --ints 4 --groups 6 --segments 1 --seed 1 --quiet
env/bin/detectorist run lrs sim/*_uncal.fits -o out --references sim/crds --quiet
env/bin/detectorist report out --quiet
env/bin/detectorist status out
test -s out/stage_2/stage_2_output.nc
test -s out/report.html
echo "the wheel works without extras"
