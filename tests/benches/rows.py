"""The rows: each answers lists of samples by figure, ours and the floor's in turn, and prints every one of them."""
import contextlib
import json
import os
import shutil
import tempfile
import time

import machine
from machine import Floor, Meter, Watch, post
from node import PLAIN, Node, Town, write_lines


class Samples(dict):
    """Samples by figure; each is printed and kept as it comes."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def add(self, **figures):
        for name, value in figures.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self.setdefault(name, []).append(value)
        line = json.dumps({"row": self.row, "at": int(time.time()), **figures})
        print(line, flush=True)
        with open(os.path.join(machine.OUT, "results.jsonl"), "a") as file:
            file.write(line + "\n")


def rounded(figures, digits=3):
    return {name: round(value, digits) for name, value in figures.items()}


def floor_sample(floor, samples, sockets):
    """The floor, one frame a write and sixteen."""
    rounds = max(16, 160_000 // sockets // 16 * 16)
    one_us, _ = floor.broadcast(1, rounds)
    sixteen_us, rate = floor.broadcast(16, rounds // 16)
    samples.add(floor_us=round(one_us, 2), floor16_us=round(sixteen_us, 2), floor16_per_s=round(rate))
    return one_us


def load_phase(node, watch, wanted, publish):
    """Publishes while listeners count; what was seen, the meter and what the publishers saw."""
    watch.reset()
    meter = Meter(node, watch)
    sent = publish()
    seen = watch.settle(wanted)
    return seen, meter.stop(), sent


def fan_figures(prefix, floor_us, seen, meter, sent, wanted):
    """Figures of a fan-out; the CPU includes all of the post: receiving, storing, acknowledging."""
    got = max(1, seen["deliveries"])
    us = 1e6 * meter["server_cpu_s"] / got
    figures = {"us": us, "x_floor": us / floor_us, "deliveries_per_s": got / max(seen["span_s"], 1e-9),
               "deliveries_a_read": got / max(1, seen["reads"]), "bytes_a_delivery": seen["bytes"] / got,
               "p50_ms": seen["p50_ms"], "p99_ms": seen["p99_ms"], "ack_p50_ms": sent["p50_ms"],
               "ack_p99_ms": sent["p99_ms"], "acked": sent["acked"], "refused": sent["refused"],
               "missing": wanted - got, "closed": seen["closed"], "lagging": seen["lagging"],
               "foreign_core": meter["foreign_core"]}
    named = {f"{prefix}_{name}": value for name, value in rounded(figures).items()}
    return named | ({"refusal": sent["refusal"]} if sent["refusal"] else {})


def memory(repeats, scale):
    """P1: user memory of an idle connection with 20 subscriptions: own log, workspace, 18 of 180 conversations.

    Each connection is of another user. The first fifth of them takes what the start left free, the rest is measured.
    Channels that nobody writes to fall asleep after 5 s here instead of 60, and are asleep when memory is read.
    """
    samples, sockets = Samples("P1"), int(10_000 * scale)
    first = sockets // 5
    data = tempfile.mkdtemp(prefix="data-", dir=machine.OUT)
    settings = {"storage.cache_bytes": 4 << 20, "node.bootstrap": "none", "actors.channel_idle_ms": 5000}
    members = [[user for user in range(sockets) if (user + c) % 10 == 0] for c in range(180)]
    try:
        with Node(None, settings, data) as node:
            town = Town(node, sockets, members)
            samples.add(setup_s=round(town.made_s, 1))
        for _ in range(repeats):
            floor_kib = floor_memory(first, sockets)
            with Node(0, settings, data) as node:
                time.sleep(20)
                base = machine.rss_kib(node.pid)
                with Watch(node.port, first, town.hellos(users=range(first))) as warm:
                    time.sleep(20)
                    before, meter = machine.rss_kib(node.pid), Meter(node, warm)
                    rest = range(first, sockets)
                    with Watch(node.port, len(rest), town.hellos(users=rest)) as watch:
                        connect_us = 1e6 * meter.stop()["server_cpu_s"] / len(rest)
                        time.sleep(30)
                        after = machine.rss_kib(node.pid)
                        seen = watch.seen()
            samples.add(kib=round((after - before) / len(rest), 2), kib_of_all=round((after - base) / sockets, 2),
                        floor_kib=round(floor_kib, 3), connect_us=round(connect_us, 1), base_mib=base // 1024,
                        closed=seen["closed"], pings=seen["pings"])
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return samples


def floor_memory(few, many):
    """KiB of the floor's memory a socket."""
    kib = []
    for sockets in (few, many):
        with Floor(sockets) as floor:
            kib.append(machine.rss_kib(floor.pid))
    return (kib[1] - kib[0]) / (many - few)


@contextlib.contextmanager
def crowd(sockets):
    """A floor and a node on one core, as many listeners of each on the other; all of the node's are in one channel, to
    which `publish(window, rate, count)` posts."""
    users = 100
    with Floor(sockets) as floor, Node(0, PLAIN) as node:
        town = Town(node, users, [list(range(users))])
        hellos, manual = town.hellos(), town.hellos(manual=True)
        channels = write_lines("channels.txt", town.channels)
        with Watch(node.port, sockets, hellos) as watch:
            yield floor, node, watch, lambda *load: post(node.port, 1, manual, channels, *load)


def one_channel(repeats, scale):
    """P2 and P3: all sockets on one channel; 2 posts/s on a schedule, then as fast as one sender is allowed."""
    samples, sockets = Samples("P2"), int(10_000 * scale)
    steady, saturated = 20, 500
    with crowd(sockets) as (floor, node, watch, publish):
        for _ in range(repeats):
            floor_us = floor_sample(floor, samples, sockets)
            # The same schedule: sockets that were quiet for half a second, a reader that sleeps.
            quiet_floor_us, _ = floor.broadcast(1, steady, 500)
            quiet = idle(node, 10)
            seen, meter, sent = load_phase(node, watch, steady * sockets, lambda: publish(32, 2, steady))
            figures = fan_figures("steady", quiet_floor_us, seen, meter, sent, steady * sockets)
            pings_us = 1e6 * quiet * meter["wall_s"] / max(1, seen["deliveries"])
            samples.add(**figures, steady_pings_us=round(pings_us, 2), floor_quiet_us=round(quiet_floor_us, 2),
                        steady_x_busy_floor=round(figures["steady_us"] / floor_us, 3))
            seen, meter, sent = load_phase(node, watch, saturated * sockets, lambda: publish(32, 0, saturated))
            samples.add(**fan_figures("sat", floor_us, seen, meter, sent, saturated * sockets))
    return samples


def idle(node, seconds):
    """Cores that an idle node uses."""
    meter = Meter(node)
    time.sleep(seconds)
    stopped = meter.stop()
    return stopped["server_cpu_s"] / stopped["wall_s"]


def heartbeat(repeats, scale):
    """P22: CPU of 1,000 idle sockets with pings each 10 s, over 60 s; beside the same node without sockets."""
    samples, sockets, users = Samples("P22"), int(1000 * scale), 100
    with Node(0, PLAIN) as node:
        town = Town(node, users, [list(range(users))])
        hellos = town.hellos()
        for _ in range(repeats):
            time.sleep(10)
            empty = idle(node, 20)
            with Watch(node.port, sockets, hellos) as watch:
                time.sleep(10)
                watch.reset()
                meter = Meter(node, watch)
                time.sleep(60)
                stopped = meter.stop()
                seen = watch.seen()
            core = 100 * stopped["server_cpu_s"] / stopped["wall_s"]
            samples.add(percent_of_a_core=round(core, 3), percent_without_sockets=round(100 * empty, 3),
                        pings=seen["pings"], closed=seen["closed"], foreign_core=stopped["foreign_core"])
    return samples


def many_channels(node, users=1000, stride=100):
    """1,000 channels with 10 members each, every user in 10; and who may post where: `stride` users cover all."""
    groups = users // stride
    town = Town(node, users, [[(c - stride * j) % users for j in range(groups)] for c in range(users)])
    lines = [" ".join(town.channels[(u + stride * j) % users] for j in range(groups)) for u in range(stride)]
    return town, write_lines("channels.txt", lines)


def stored(repeats, scale):
    """P23: the whole cost of a stored message: 1,000 channels of 10 over 1,000 sockets, saturated, one core."""
    samples, posts, sockets = Samples("P23"), int(40_000 * scale), 1000
    with Floor(sockets) as floor, Node(0, PLAIN) as node:
        town, channels = many_channels(node)
        hellos, manual = town.hellos(), town.hellos(manual=True)
        with Watch(node.port, sockets, hellos) as watch:
            for _ in range(repeats):
                floor_us = floor_sample(floor, samples, sockets)
                run = lambda: post(node.port, 100, manual, channels, 4, 0, posts)
                seen, meter, sent = load_phase(node, watch, posts * 10, run)
                figures = fan_figures("sat", floor_us, seen, meter, sent, posts * 10)
                samples.add(**figures, acks_per_s=round(sent["acked"] / sent["span_s"]))
    return samples


def sync_times(count=300):
    """Seconds of bare 4 KiB write and fdatasync on the disk of the data directories: sorted."""
    with tempfile.TemporaryFile(dir=machine.OUT) as file:
        file.write(bytes(4096 * count))
        os.fsync(file.fileno())
        took = []
        for i in range(count):
            began = time.monotonic()
            os.pwrite(file.fileno(), b"x" * 4096, 4096 * i)
            os.fdatasync(file.fileno())
            took.append(time.monotonic() - began)
    return sorted(took)


def acks(repeats, scale):
    """P24: durable acks with 32 senders and with one; 10 listening members a channel; both cores free for all."""
    samples, posts, sockets = Samples("P24"), int(40_000 * scale), 1000
    with Node(None, PLAIN) as node:
        town, channels = many_channels(node)
        hellos, manual = town.hellos(), town.hellos(manual=True)
        with Watch(node.port, sockets, hellos, core=None) as watch:
            for _ in range(repeats):
                synced = sync_times()
                samples.add(fdatasync_p50_ms=round(1e3 * synced[len(synced) // 2], 3),
                            fdatasync_p99_ms=round(1e3 * synced[len(synced) * 99 // 100], 3))
                for prefix, senders, count in [("one", 1, posts // 20), ("many", 32, posts)]:
                    run = lambda: post(node.port, senders, manual, channels, 1, 0, count, core=None)
                    seen, meter, sent = load_phase(node, watch, count * 10, run)
                    figures = {"acks_per_s": sent["acked"] / sent["span_s"], "p50_ms": sent["p50_ms"],
                               "p99_ms": sent["p99_ms"], "delivered_p50_ms": seen["p50_ms"],
                               "delivered_p99_ms": seen["p99_ms"], "refused": sent["refused"],
                               "missing": count * 10 - seen["deliveries"],
                               "cpu_ms_a_post": 1e3 * meter["server_cpu_s"] / count,
                               "foreign_core": meter["foreign_core"]}
                    samples.add(**{f"{prefix}_{name}": value for name, value in rounded(figures).items()})
    return samples


def ready(repeats, _scale):
    """Time from the start of the process to its ready line, on an empty directory."""
    samples = Samples("ready")
    for _ in range(max(repeats, 5)):
        load = os.getloadavg()[0]
        with Node(None) as node:
            samples.add(ready_ms=round(node.ready_ms, 1), load=round(load, 2))
    return samples


def ready_again(repeats, scale):
    """The same after kill -9 under load with a million messages kept."""
    samples, posts = Samples("ready-million"), int(1_000_000 * scale)
    data = tempfile.mkdtemp(prefix="data-", dir=machine.OUT)
    try:
        with Node(None, PLAIN, data) as node:
            town = Town(node, 100, [[user] for user in range(100)])
            channels = write_lines("channels.txt", town.channels)
            manual = town.hellos(manual=True)
            sent = post(node.port, 100, manual, channels, 8, 0, posts, core=None)
            samples.add(kept=sent["acked"], refused=sent["refused"],
                        acks_per_s=round(sent["acked"] / sent["span_s"]), refusal=sent["refusal"])
        size = os.path.getsize(os.path.join(data, "store.redb")) >> 20
        for _ in range(max(repeats, 3)):
            with Node(None, PLAIN, data) as node:
                samples.add(ready_ms=round(node.ready_ms, 1), store_mib=size, load=round(os.getloadavg()[0], 2))
                under_load(node, manual, channels)
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return samples


def under_load(node, hellos, channels):
    """Posts for two seconds; the node is then killed while more are on their way."""
    command = [os.path.join(machine.OUT, "load"), "post", str(node.port), "100", hellos, channels, "8", "0", "1000000"]
    with machine.Process(command, None, "post") as publisher:
        publisher.line()
        time.sleep(2)
        node.child.kill()
        node.child.wait(30)


def commit(repeats, _scale):
    """P11: group commit of 64 senders beside a bare fdatasync loop; a Rust bench of its own."""
    samples = Samples("P11")
    command = ["cargo", "bench", "-q", "-p", "cells", "--bench", "commit", "--", str(repeats)]
    with machine.Process(command, None, "commit") as bench:
        for _ in range(repeats):
            said = json.loads(bench.line())
            samples.add(**said, p99_to_p99=round(said["ack_p99_ms"] / said["sync_p99_ms"], 2))
    return samples


ROWS = {"P1": memory, "P2": one_channel, "P11": commit, "P22": heartbeat, "P23": stored, "P24": acks,
        "ready": ready, "ready-million": ready_again}
# P3 is the saturated half of P2's run.
ALIASES = {"P3": "P2"}
