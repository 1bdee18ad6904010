"""What a run asks of the machine: processes it started, their CPU and memory, and who else was busy meanwhile."""
import json
import os
import resource
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(ROOT, "target", "benches")
WAGGLE = os.path.join(ROOT, "target", "release", "waggle")
TICKS = os.sysconf("SC_CLK_TCK")
# One step of a run may take this long; then it hangs and the run fails.
STEP_S = 300


def compile_c():
    """Builds the C programs into target/benches; answers nothing."""
    os.makedirs(OUT, exist_ok=True)
    for name in ("floor", "load", "queue"):
        command = ["gcc", "-O2", "-Wall", "-o", os.path.join(OUT, name), os.path.join(HERE, name + ".c")]
        subprocess.run(command, check=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_s(pid):
    """Seconds of CPU, user and system, that the operating system has counted for a process."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def children_cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def busy_s():
    """Seconds of CPU that all processes of the machine have used."""
    with open("/proc/stat") as stat:
        f = [int(x) for x in stat.readline().split()[1:]]
    return (f[0] + f[1] + f[2] + f[5] + f[6]) / TICKS


class Process:
    """A child, pinned to a core (None: free), spoken to by lines. Ends with the `with` block, by its pid."""

    def __init__(self, command, core, log, environment=None):
        pin = ["taskset", "-c", str(core)] if core is not None else []
        self.log = open(os.path.join(OUT, log + ".log"), "w")
        self.child = subprocess.Popen(
            pin + command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={**os.environ, **(environment or {})})
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(30)
        self.log.close()

    def line(self):
        text = self.child.stdout.readline()
        if not text:
            with open(self.log.name) as log:
                sys.exit(f"{self.log.name}: ended with {self.child.wait(30)}:\n{log.read()[-2000:]}")
        return text.strip()

    def ask(self, text):
        self.child.stdin.write(text)
        self.child.stdin.flush()
        return self.line()

    def cpu_s(self):
        return cpu_s(self.pid)


class Floor(Process):
    """The C floor with its own listening client; `opened` sockets."""

    def __init__(self, sockets):
        port = free_port()
        super().__init__([os.path.join(OUT, "floor"), str(port), str(sockets)], 0, "floor")
        self.line()
        self.client = Watch(port, sockets, "-")
        self.line()

    def kill(self):
        super().kill()
        self.client.kill()

    def broadcast(self, frames_a_write, rounds, pause_ms=0):
        """Microseconds of server CPU a delivery, and deliveries a second; every byte must have arrived."""
        self.client.reset()
        said = json.loads(self.ask(f"b {frames_a_write} {rounds} {pause_ms}\n"))
        self.client.settle(said["deliveries"])
        return 1e6 * said["cpu_s"] / said["deliveries"], said["deliveries"] / said["wall_s"]


class Watch(Process):
    """Connections that listen, on core 1 (None: free)."""

    def __init__(self, port, sockets, hellos, core=1):
        super().__init__([os.path.join(OUT, "load"), "watch", str(port), str(sockets), hellos], core, "watch")
        self.opened_s = float(self.line().split()[1])

    def reset(self):
        self.ask("r")

    def seen(self):
        return json.loads(self.ask("s"))

    def settle(self, wanted, limit_s=STEP_S):
        """Waits until as many deliveries as wanted have come, or none for 10 s; answers what was seen."""
        return settle([self], wanted, limit_s)[0]


def deliveries(seen):
    return sum(of["deliveries"] for of in seen)


def settle(watches, wanted, limit_s=STEP_S):
    """The same for all of them together; answers what each has seen."""
    began, changed, last = time.time(), time.time(), -1
    while True:
        time.sleep(0.2)
        seen = [watch.seen() for watch in watches]
        come = deliveries(seen)
        if come >= wanted or time.time() - began > limit_s:
            return seen
        if come != last:
            changed, last = time.time(), come
        elif time.time() - changed > 10:
            return seen


def post(port, connections, hellos, channels, window, rate, count, core=1):
    """Runs publishers to their end; answers what they saw."""
    command = [os.path.join(OUT, "load"), "post", str(port), str(connections), hellos, channels]
    with Process(command + [str(window), str(rate), str(count)], core, "post") as publisher:
        publisher.line()
        return json.loads(publisher.line())


class Meter:
    """Wall, the server's CPU, and the cores that processes outside of the run have used since."""

    def __init__(self, server, *others):
        self.server, self.others = server, others
        self.before = self.now()

    def now(self):
        others = sum(other.cpu_s() for other in self.others) + children_cpu_s() + time.process_time()
        return time.time(), self.server.cpu_s(), others, busy_s()

    def stop(self):
        wall, server, others, busy = (b - a for a, b in zip(self.before, self.now()))
        return {"wall_s": round(wall, 3), "server_cpu_s": round(server, 3),
                "foreign_core": round(max(0.0, busy - server - others) / wall, 2)}


def ideal_queue(rate, work_us, seconds):
    """How late an ideal server of one queue is that uses so much of core 0 a job: the machine's part in a delay."""
    command = ["taskset", "-c", "0", os.path.join(OUT, "queue"), str(rate), str(work_us), str(seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=STEP_S).stdout)
