#!/bin/sh
# Makes the virtual environment with exactly the pinned packages.
set -eu
python3.11 -m venv --clear .venv
.venv/bin/pip install --quiet --no-deps -r requirements.txt
.venv/bin/pip check
