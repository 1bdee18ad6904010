"""A real `waggle up` cluster whose nodes are killed and started again, whoever owns #general first. Clients reach it by
one node that is left alone: what happens to the owners of their channels must not be seen there."""

import json
import os
import signal
import socket
import socketserver
import threading

from node import STEP_MAX_S, Node, end

NODES = 6
SPARED = ["node-1", "store", None]
# A node is killed this long after the one before it is back, and is down for so long.
REST_S = 0.3
DOWN_S = 1.0


class Cluster(Node):
    def __init__(self):
        self.kills, self.failed = 0, None
        self.door = Door()
        self.base = f"http://127.0.0.1:{self.door.server_address[1]}/"
        self.words = ["up", "--nodes", str(NODES), "--set", f"actors.public_url={self.base}"]
        # Sockets stay at the door's node, too: RTM replays nothing, and a home that is killed leaves a gap.
        self.words += ["--set", "actors.gateway_url="]
        super().__init__()

    def start(self, *args):
        super().start(*args)
        self.base_url, self.api_url = self.base, f"{self.base}api/"
        nodes = {node["node"]: node for node in self.ready["nodes"]}
        host, port = nodes["node-1"]["base_url"].removeprefix("http://").rstrip("/").rsplit(":", 1)
        self.door.there = (host, int(port))
        # What was asked of a node that is killed before it answers is not known to be done: the front leads to any node.
        self.operator = nodes["node-1"]["operator"]
        self.calm, self.again = threading.Event(), {}
        self.pids = {name: node["pid"] for name, node in nodes.items()}
        begun = threading.Event()
        self.killing = threading.Thread(target=self.kill_on, args=[begun])
        self.killing.start()
        begun.wait(STEP_MAX_S)

    def kill_on(self, begun):
        try:
            self.kill_nodes(begun)
        except Exception as error:
            self.failed = error
            begun.set()

    def kill_nodes(self, begun):
        """Kills any node but the first one and the store, by the pid of the ready line or as what it started itself."""
        while not self.calm.is_set():
            owner = json.loads(self.cluster("placement", "general", "--json"))["placement"]["owner"]
            name = owner if owner not in SPARED else f"node-{2 + self.kills % (NODES - 1)}"
            if name in self.again:
                end(self.again.pop(name))
            else:
                os.kill(self.pids[name], signal.SIGKILL)
            self.kills += 1
            begun.set()
            self.calm.wait(DOWN_S)
            config = str(self.root / "data" / name / "waggle.toml")
            self.again[name], _ = self.spawn("serve", "--config", config)
            self.calm.wait(REST_S)

    def kill(self):
        self.end_killing()
        super().kill()

    def end_killing(self):
        """No more kills; what was started again ends, also when the process that started the cluster has died itself."""
        self.calm.set()
        self.killing.join(STEP_MAX_S)
        while self.again:
            end(self.again.popitem()[1])

    def close(self):
        self.end_killing()
        super().close()
        self.door.shutdown()
        self.door.server_close()
        if self.failed or self.kills == 0:
            raise AssertionError(f"after {self.kills} kills none came any more") from self.failed


class Door(socketserver.ThreadingTCPServer):
    """An address that stays and leads to one node, as a load balancer's does."""

    daemon_threads = True
    there = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Through)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Through(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            there = socket.create_connection(self.server.there)
        except OSError:
            return
        with there:
            back = threading.Thread(target=pump, args=[there, self.request], daemon=True)
            back.start()
            pump(self.request, there)
            back.join()


def pump(source, sink):
    """Passes bytes on until either side ends, then ends both."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end_of in (source, sink):
        try:
            end_of.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
