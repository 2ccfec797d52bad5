"""TensorBoard as a process of its own, on a port that is free."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 120.0
"""Seconds until TensorBoard has to answer."""


def free_port(wanted: int) -> int:
    """`wanted`, or the next port above it that nobody listens on."""
    for port in range(wanted, min(wanted + 100, 65536)):
        with contextlib.suppress(OSError), socket.create_server(("localhost", port)):
            return port
    raise SystemExit(f"No port from {wanted} to {wanted + 99} is free. Choose another with --port.")


@contextlib.contextmanager
def tensorboard(logdir: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start TensorBoard on `logdir`; gives its process once it answers, and ends it.

    Raises:
      SystemExit: it did not start; with what it said.
    """
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", str(port)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment) as process,
    ):
        try:
            if not _answers(process, port):
                said.seek(0)
                raise SystemExit(f"TensorBoard did not start:\n{said.read().decode(errors='replace')}")
            yield process
        finally:
            process.terminate()


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://localhost:{port}/data/plugins_listing"):
            return True
        time.sleep(0.2)
    return False
