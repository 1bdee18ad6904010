"""The README's commands, typed as they stand: from an empty node to a bot that answers and two native clients."""

import contextlib
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from node import STEP_MAX_S, Node, binary

TOP = pathlib.Path(__file__).resolve().parents[2]


def blocks(of):
    """What the README tells to type to `node` or `cluster`; building, installing and simulating are done elsewhere."""
    found = re.findall(r"^```sh\n(.*?)^```$", (TOP / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    elsewhere = r"cargo (run|build)|waggle-sim|pip install|^tests/run|^waggle up|admin cluster"
    found = [block for block in found if not re.search(elsewhere, block)]
    return [block for block in found if ("waggle up" in block) == (of == "cluster")]


class Shell:
    """A person's shell: one after the other, what is typed and what it prints."""

    def __init__(self, environment, folder=TOP):
        self.process = subprocess.Popen(
            ["bash", "-e"],
            cwd=folder,
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
        people, bot, talk, native = blocks("node")
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

    def test_two_people_talk_on_while_the_owner_of_their_channel_is_killed(self):
        folder = tempfile.mkdtemp(prefix="waggle-readme-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        shell = Shell({"PATH": f"{pathlib.Path(binary()).parent}:{os.environ['PATH']}"}, folder)
        self.addCleanup(shell.close)
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        (block,) = blocks("cluster")
        shell.type(block.replace("waggle up", f"waggle up --listen {address}").replace("127.0.0.1:8065", address))
        for text in ("shall we\\?", "let us"):
            shell.until(rf"{text}: answered after .* s")
        owner = shell.until(r"T\w+ +C\w+ .* (node-[1-3]) +\d+ +node-[1-3]").group(1)
        for text in ("did you notice\\?", "notice what\\?"):
            shell.until(rf"{text}: answered after .* s")
        heir = shell.until(r"(node-[1-3])(, the node that was asked,)? owns it since epoch [2-9].*").group(1)
        self.assertNotEqual(heir, owner)
        shell.type("until [ -s again.json ]; do sleep 0.1; done; echo back; kill $(jobs -p); wait\n")
        shell.until("back")


if __name__ == "__main__":
    unittest.main()
