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
    words = ["serve"]

    def __init__(self, *args):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="waggle-sdk-"))
        self.port = 0
        self.start(*args)

    def start(self, *args):
        """Starts the process on the same data directory and, after the first time, the same port."""
        place = ["--listen", f"127.0.0.1:{self.port}", "--data", str(self.root / "data")]
        self.process, ready = self.spawn(*self.words, *place, *args)
        self.ready, self.operator = ready, ready["operator"]
        self.base_url, self.api_url = ready["base_url"], ready["api_url"]
        self.port = int(self.base_url.rstrip("/").rsplit(":", 1)[1])

    def spawn(self, *words):
        """Starts a process; answers it and its ready line."""
        with open(self.root / "stderr.log", "ab") as log:
            process = subprocess.Popen(
                [binary(), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        line = first_line(process, f"waggle {words[0]} getting ready")
        if not line:
            tail = (self.root / "stderr.log").read_text()[-4096:]
            raise AssertionError(f"waggle {words[0]} ended before it was ready; its log ends:\n{tail}")
        return process, json.loads(line)

    def admin(self, *args):
        """Runs `waggle admin`; answers what it printed."""
        return self.operate("admin", *args)

    def cluster(self, *args):
        """Runs `waggle cluster`; answers what it printed."""
        return self.operate("cluster", *args)

    def operate(self, verb, *args):
        run = subprocess.run(
            [binary(), verb, "--node", self.operator, *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_MAX_S,
        )
        if run.returncode != 0:
            raise AssertionError(f"waggle {verb} {args} ended with {run.returncode}: {run.stderr.strip()}")
        return run.stdout.strip()

    def user(self, name, *more):
        """Makes a user of workspace `demo`; answers id and token."""
        user = self.admin("user", "create", "--workspace", "demo", name, *more)
        return user, self.admin("token", "create", "--workspace", "demo", "--user", user)

    def kill(self):
        """Ends the process at once, as a power cut would."""
        end(self.process)

    def close(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.root, ignore_errors=True)


def end(process):
    process.send_signal(signal.SIGKILL)
    process.wait(STEP_MAX_S)
    process.stdout.close()


def first_line(process, what):
    """The next line that a process prints; empty when it ended without one."""
    lines = queue.Queue()
    threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
    try:
        return lines.get(timeout=STEP_MAX_S)
    except queue.Empty:
        raise AssertionError(f"hung for {STEP_MAX_S} s: {what}") from None
