"""A `waggle serve` or `waggle up` of our own: its directory, its operator, and first frames of the native protocol."""
import json
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import urllib.request

import machine

# Operators at the same time that a node takes; as many commands share a commit.
OPERATORS = 24
# Nothing is made at the start.
PLAIN = {"node.bootstrap": "none"}
# Posts of a benchmark come faster than people write.
RATES = {"actors.rate_per_s": 1000000, "actors.rate_burst": 1000000}


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def hello(token, manual=False):
    """A ClientFrame with id 1 and `hello`, as hex; `manual` follows nothing but the own logs."""
    body = field(1, token.encode()) + field(3, b"bench") + (b"\x20\x01" if manual else b"")
    return (b"\x08\x01" + field(2, body)).hex()


def write_lines(name, lines):
    path = os.path.join(machine.OUT, name)
    with open(path, "w") as file:
        file.writelines(line + "\n" for line in lines)
    return path


class Operator:
    """One connection to the operator's socket."""

    def __init__(self, path):
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.settimeout(60)
        self.stream.connect(path)
        self.file = self.stream.makefile("rw")

    def ask(self, verb, **args):
        self.file.write(json.dumps({"verb": verb, "args": args}) + "\n")
        self.file.flush()
        reply = json.loads(self.file.readline())
        if not reply["ok"]:
            raise RuntimeError(f"{verb} {args}: {reply}")
        return reply["result"]


def settings_of(settings):
    """Settings as arguments."""
    chosen = {"log.filter": "warn", **RATES, **(settings or {})}
    return [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]


def counted(port, *names):
    """Values of these metrics of the process that listens there."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines() if not line.startswith("#")]
    values = {words[0]: float(words[-1]) for words in lines if words}
    return [values[name] for name in names]


def port_of(base_url):
    return int(base_url.rstrip("/").rsplit(":", 1)[1])


class Operated(machine.Process):
    """What has an operator's socket."""

    def ask_all(self, asks):
        """Asks many things by as many operators as a node takes; answers in order."""
        answers, left, lock, errors = [None] * len(asks), iter(enumerate(asks)), threading.Lock(), []

        def work():
            operator = Operator(self.operator)
            while not errors:
                with lock:
                    at, ask = next(left, (None, None))
                if ask is None:
                    return
                try:
                    answers[at] = operator.ask(ask[0], **ask[1])
                except Exception as error:  # reported by the caller's thread
                    errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(min(OPERATORS, len(asks)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return answers


class Cluster(Operated):
    """Nodes and a store as processes on a fresh directory, all pinned to one core (None: free)."""

    def __init__(self, nodes, core=None, settings=None):
        self.data = tempfile.mkdtemp(prefix="data-", dir=machine.OUT)
        command = [machine.WAGGLE, "up", "--nodes", str(nodes), "--listen", "127.0.0.1:0", "--data", self.data]
        super().__init__(command + settings_of(settings), core, "cluster")
        ready = json.loads(self.line())
        self.operator = ready["operator"]
        self.pids = {node["node"]: node["pid"] for node in ready["nodes"]}
        self.gateways = {node["node"]: port_of(node["base_url"]) for node in ready["nodes"] if "gateway" in node["roles"]}
        self.store = next(port_of(node["base_url"]) for node in ready["nodes"] if "store" in node["roles"])
        self.again = {}

    def cpu_s(self):
        return super().cpu_s() + sum(machine.cpu_s(pid) for pid in self.pids.values())

    def crash(self, name):
        """Kills one node at once."""
        if name in self.again:
            self.again.pop(name).kill()
        else:
            os.kill(self.pids[name], signal.SIGKILL)
        self.pids.pop(name)

    def start(self, name):
        """Starts one again; it takes work when this returns."""
        config = os.path.join(self.data, name, "waggle.toml")
        node = machine.Process([machine.WAGGLE, "serve", "--config", config], None, name)
        own_url = json.loads(node.line())["nodes"][0]["base_url"]  # beside the address that all share
        self.again[name], self.pids[name], self.gateways[name] = node, node.pid, port_of(own_url)

    def kill(self):
        for node in self.again.values():
            node.kill()
        super().kill()  # its children end with it
        deadline = time.monotonic() + 30
        while any(os.path.exists(f"/proc/{pid}") for pid in self.pids.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        shutil.rmtree(self.data, ignore_errors=True)


class Node(Operated):
    """A node on a fresh (or the given) data directory, ready; the directory goes with the `with` block."""

    def __init__(self, core=0, settings=None, data=None):
        self.data = data or tempfile.mkdtemp(prefix="data-", dir=machine.OUT)
        self.keep = data is not None
        command = [machine.WAGGLE, "serve", "--listen", "127.0.0.1:0", "--data", self.data]
        began = time.monotonic()
        super().__init__(command + settings_of(settings), core, "waggle")
        ready = json.loads(self.line())
        self.ready_ms = 1e3 * (time.monotonic() - began)
        self.operator = ready["operator"]
        self.port = port_of(ready["base_url"])

    def kill(self):
        super().kill()
        if not self.keep:
            shutil.rmtree(self.data, ignore_errors=True)


class Town:
    """A workspace with users, a token each, and channels that they are in: `members[c]` are indices of users."""

    def __init__(self, node, users, members):
        began = time.time()
        self.node = node
        workspace = node.ask_all([("workspace.create", {"name": "bench"})])[0]["id"]
        asks = [("user.create", {"workspace": workspace, "name": f"user{i}"}) for i in range(users)]
        self.users = [answer["id"] for answer in node.ask_all(asks)]
        asks = [("token.create", {"workspace": workspace, "user": user}) for user in self.users]
        self.tokens = [answer["token"] for answer in node.ask_all(asks)]
        asks = [("channel.create", {"workspace": workspace, "name": f"channel{i}"}) for i in range(len(members))]
        self.channels = [answer["id"] for answer in node.ask_all(asks)]
        # Neighbours in this list are of different channels, so that their commits are shared.
        deepest = max(len(who) for who in members)
        asks = [("channel.join", {"workspace": workspace, "channel": self.channels[c], "user": self.users[who[m]]})
                for m in range(deepest) for c, who in enumerate(members) if m < len(who)]
        node.ask_all(asks)
        self.made_s = time.time() - began

    def hellos(self, manual=False, users=None):
        """A file of first frames, one a user (or of these users)."""
        chosen = self.tokens if users is None else [self.tokens[user] for user in users]
        name = f"hellos-{'manual' if manual else 'all'}-{len(chosen)}.txt"
        return write_lines(name, [hello(token, manual) for token in chosen])
