"""A real `waggle serve` process on 127.0.0.1 with a data directory of its own. Only what was started here, by its
own pid, is ever ended."""

import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import tempfile
import threading

# A step that takes longer than this hangs: the test fails and says at what.
STEP_MAX_S = 60


def binary():
    """The binary under test: $WAGGLE, or where `cargo build` puts it."""
    built = pathlib.Path(__file__).resolve().parents[2] / "target" / "debug" / "waggle"
    path = pathlib.Path(os.environ.get("WAGGLE", built))
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: run `cargo build -p cells` (or tests/run, which does) first")
    return str(path)


class Node:
    def __init__(self, *args):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="waggle-sdk-"))
        self.port = 0
        self.start(*args)

    def start(self, *args):
        """Starts the process on the same data directory and, after the first time, the same port."""
        with open(self.root / "stderr.log", "ab") as log:
            self.process = subprocess.Popen(
                [binary(), "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.root / "data"), *args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        line = first_line(self.process, "waggle serve getting ready")
        if not line:
            tail = (self.root / "stderr.log").read_text()[-4096:]
            raise AssertionError(f"waggle serve ended before it was ready; its log ends:\n{tail}")
        ready = json.loads(line)
        self.base_url, self.api_url, self.operator = ready["base_url"], ready["api_url"], ready["operator"]
        self.port = int(self.base_url.rstrip("/").rsplit(":", 1)[1])

    def admin(self, *args):
        """Runs `waggle admin`; answers what it printed."""
        run = subprocess.run(
            [binary(), "admin", "--node", self.operator, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_MAX_S,
        )
        if run.returncode != 0:
            raise AssertionError(f"waggle admin {args} ended with {run.returncode}: {run.stderr.strip()}")
        return run.stdout.strip()

    def user(self, name, *more):
        """Makes a user of workspace `demo`; answers id and token."""
        user = self.admin("user", "create", "--workspace", "demo", name, *more)
        return user, self.admin("token", "create", "--workspace", "demo", "--user", user)

    def kill(self):
        """Ends the process at once, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STEP_MAX_S)
        self.process.stdout.close()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.root, ignore_errors=True)


def first_line(process, what):
    """The next line that a process prints; empty when it ended without one."""
    lines = queue.Queue()
    threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
    try:
        return lines.get(timeout=STEP_MAX_S)
    except queue.Empty:
        raise AssertionError(f"hung for {STEP_MAX_S} s: {what}") from None
