"""A process that is killed in the middle of its work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def kill_once_there(code: str, awaited: Path) -> None:
    """Run Python ``code`` in a process of its own and SIGKILL it as soon as the file ``awaited`` exists."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        deadline = time.monotonic() + 120
        while not awaited.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
