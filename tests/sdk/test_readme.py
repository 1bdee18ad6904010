"""The README's commands, typed as they stand: from an empty node to a bot that answers and two native clients."""

import contextlib
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import unittest

from node import STEP_MAX_S, Node, binary

TOP = pathlib.Path(__file__).resolve().parents[2]


def blocks():
    """What the README tells to type to a node; building, installing, simulating and clusters are done elsewhere."""
    found = re.findall(r"^```sh\n(.*?)^```$", (TOP / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    elsewhere = r"cargo (run|build)|waggle-sim|pip install|^tests/run|^waggle up|admin cluster"
    return [block for block in found if not re.search(elsewhere, block)]


class Shell:
    """A person's shell: one after the other, what is typed and what it prints."""

    def __init__(self, environment):
        self.process = subprocess.Popen(
            ["bash", "-e"],
            cwd=TOP,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = queue.Queue()
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def type(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def until(self, pattern):
        said = []
        while True:
            try:
                line = self.lines.get(timeout=STEP_MAX_S)
            except queue.Empty:
                raise AssertionError(f"hung for {STEP_MAX_S} s before {pattern!r}, after {said}") from None
            if line is None:
                raise AssertionError(f"the shell ended before {pattern!r}, after {said}")
            found = re.fullmatch(pattern, line)
            if found:
                return found
            said.append(line)

    def close(self):
        """Ends the shell and what it started in the background: they are a group of their own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STEP_MAX_S)
        self.listener.join(STEP_MAX_S)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


class Readme(unittest.TestCase):
    def test_its_commands_lead_to_a_bot_that_answers_and_two_native_clients_that_talk(self):
        node = Node()
        self.addCleanup(node.close)
        shell = Shell({"WAGGLE_DATA": str(node.root / "data")})
        self.addCleanup(shell.close)
        here = {
            "http://127.0.0.1:8065/": node.base_url,
            "ws://127.0.0.1:8065/": node.base_url.replace("http", "ws"),
            "$PWD/target/release": str(pathlib.Path(binary()).parent),
            "tests/.venv/bin/python": sys.executable,
        }
        people, bot, talk, native = blocks()
        for block, lines in (
            (people, []),
            (bot, ["connected"]),
            (talk, [r"\['ping', 'pong <@U\w+>'\]"]),
            (native, [r"ada is acknowledged at (\d+)", r"robo hears (\d+) Good morning", r"ada catches up on \[(\d+)\]"]),
        ):
            for there, ours in here.items():
                block = block.replace(there, ours)
            shell.type(block)
            places = {found.group(1) for found in map(shell.until, lines) if found.groups()}
        self.assertEqual(len(places), 1, "all three name the same event")


if __name__ == "__main__":
    unittest.main()
