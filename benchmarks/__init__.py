"""Benchmarks: each is ``python -m benchmarks.NAME [--quick] [--minutes N] [--jobs N]`` and the result file it wrote."""

import os

# One thread per process, so that figures compare and processes do not fight for cores: set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
