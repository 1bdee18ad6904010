"""Rows of clusters: nodes and a store as processes of this machine. Both cores are shared by all of them and the load."""
import json
import os
import time

import machine
from machine import Meter, Watch, deliveries, ideal_queue, post, settle
from node import PLAIN, Cluster, Node, Town, counted, write_lines
from rows import Samples, crowd, fan_figures, floor_sample, idle, load_phase, sync_times


def relayed(repeats, scale):
    """P5: send to last push in channels of 20 that two nodes share, stored durably, at half of what they can do.

    A message is pushed to its last listener within the 99.95th percentile of its pushes in at least 99 of 100 cases:
    one of twenty is later than that in less than 20 x 0.05 % of them. The floor is a queue that uses as much of the
    core a post, on the same schedule, right after the sample, and does nothing else.
    """
    samples, users, channels = Samples("P5"), 1000, 100
    with Cluster(2, core=0, settings=PLAIN) as cluster:
        members = [[c % channels + 100 * k for k in range(10)] + [(c + 50) % channels + 100 * k for k in range(10)]
                   for c in range(channels)]
        town = Town(cluster, users, members)
        lines = write_lines("channels.txt", [f"{town.channels[u]} {town.channels[(u + 50) % channels]}" for u in range(50)])
        manual, (first, second) = town.hellos(manual=True), cluster.gateways.values()
        halves = [[user for user in range(users) if user // 100 % 2 == half] for half in range(2)]
        with Watch(first, 500, town.hellos(users=halves[0]), core=1) as one, \
                Watch(second, 500, town.hellos(users=halves[1]), core=1) as two:
            written = "waggle_store_appends_total", "waggle_store_commits_total"
            for _ in range(repeats):
                synced = sync_times()
                most = post(first, 50, manual, lines, 4, 0, int(20_000 * scale), core=1)
                settle([one, two], 20 * most["acked"])
                rate = most["acked"] / most["span_s"] / 2
                one.reset()
                two.reset()
                before = counted(cluster.store, *written)
                meter = Meter(cluster, one, two)
                sent = post(first, 50, manual, lines, 32, rate, int(rate * 20 * scale), core=1)
                seen = settle([one, two], 20 * sent["acked"])
                used = meter.stop()
                floor = ideal_queue(rate, 1e6 * used["server_cpu_s"] / sent["acked"], 20 * scale)
                appends, commits = (after - start for after, start in zip(counted(cluster.store, *written), before))
                samples.add(half_load_per_s=round(rate), last_push_p99_ms=max(s["p9995_ms"] for s in seen),
                            push_p50_ms=max(s["p50_ms"] for s in seen), push_p99_ms=max(s["p99_ms"] for s in seen),
                            push_max_ms=max(s["max_ms"] for s in seen), ack_p99_ms=sent["p99_ms"],
                            refused=sent["refused"], missing=20 * sent["acked"] - deliveries(seen),
                            appends_a_commit=round(appends / commits, 2),
                            cores=round(used["server_cpu_s"] / used["wall_s"], 2), foreign_core=used["foreign_core"],
                            floor_p99_ms=floor["p99_ms"], slow_share=floor["slow_share"],
                            fdatasync_p99_ms=round(1e3 * synced[len(synced) * 99 // 100], 3))
    return samples


def last_push(repeats, scale):
    """P6: from one post in a channel with 10,000 listeners to the last of them; a node on one core."""
    samples, sockets = Samples("P6"), int(10_000 * scale)
    with crowd(sockets) as (floor, _, watch, publish):
        for _ in range(5 * repeats):
            _, rate = floor.broadcast(1, 1)
            watch.reset()
            sent = publish(1, 1, 1)
            seen = watch.settle(sockets)
            samples.add(last_push_ms=seen["max_ms"], median_push_ms=seen["p50_ms"], floor_ms=round(1e3 * sockets / rate, 1),
                        missing=sockets - seen["deliveries"], refused=sent["refused"])
    return samples


def everybody(repeats, scale):
    """P7: from one post in a channel with 100,000 members and as many listeners at ten gateways to the last of them."""
    samples, gateways = Samples("P7"), 10
    sockets = int(10_000 * scale)
    users = gateways * sockets
    with Cluster(gateways, settings=PLAIN) as cluster:
        town = Town(cluster, users, [list(range(users))])
        manual = town.hellos(manual=True, users=[0])
        channels = write_lines("channels.txt", town.channels)
        watches = []
        try:
            for number, port in enumerate(cluster.gateways.values()):
                mine = range(number * sockets, (number + 1) * sockets)
                watches.append(Watch(port, sockets, town.hellos(users=mine), core=None))
            began = time.monotonic()
            for _ in range(2 * repeats):
                time.sleep(3)
                for watch in watches:
                    watch.reset()
                sent = post(next(iter(cluster.gateways.values())), 1, manual, channels, 1, 1, 1, core=None)
                seen = settle(watches, users)
                rss = sum(machine.rss_kib(pid) for pid in cluster.pids.values()) // 1024
                samples.add(last_push_ms=max(of["max_ms"] for of in seen), missing=users - deliveries(seen),
                            refused=sent["refused"], closed=sum(of["closed"] for of in seen),
                            lagging=sum(of["lagging"] for of in seen), setup_s=round(town.made_s, 1), rss_mib=rss,
                            since_open_s=round(time.monotonic() - began))
        finally:
            for watch in watches:
                watch.kill()
    return samples


def growth(repeats, scale):
    """P20: server CPU of a delivery in one channel with 1,000 to 16,000 listeners, each beside the floor's."""
    samples = Samples("P20")
    for sockets in [int(scale * 1000 * 2 ** power) for power in range(5)]:
        posts = max(32, 3_000_000 // sockets)
        with crowd(sockets) as (floor, node, watch, publish):
            for _ in range(repeats):
                floor_us = floor_sample(floor, samples, sockets)
                seen, meter, sent = load_phase(node, watch, posts * sockets, lambda: publish(32, 0, posts))
                figures = fan_figures("all", floor_us, seen, meter, sent, posts * sockets)
                samples.add(**{f"us_{sockets}": figures["all_us"], f"x_floor_{sockets}": figures["all_x_floor"],
                               f"missing_{sockets}": figures["all_missing"]})
    return samples


def growth_of_channels(_repeats, scale):
    """P20: server CPU of a post with 1,000 to 100,000 channels, each with one member who listens to nothing; the first
    post of each channel, which wakes it, and the next ones."""
    samples = Samples("P20-channels")
    for count in [int(scale * 1000 * 10 ** power) for power in range(3)]:
        users = min(100, count)
        with Node(0, PLAIN) as node:
            town = Town(node, users, [[c % users] for c in range(count)])
            lines = [" ".join(town.channels[u::users]) for u in range(users)]
            channels, manual = write_lines("channels.txt", lines), town.hellos(manual=True)
            for name, posts in [("first", count), ("next", max(count, 40_000))]:
                meter = Meter(node)
                sent = post(node.port, users, manual, channels, 4, 0, posts)
                used = meter.stop()
                samples.add(**{f"{name}_us_{count}": round(1e6 * used["server_cpu_s"] / posts, 1),
                               f"{name}_refused_{count}": sent["refused"], f"rss_mib_{count}": machine.rss_kib(node.pid) // 1024})
    return samples


def kills(repeats, _scale):
    """R1: how long the slowest of some 700 posts waited at a node that was well while another one was killed."""
    samples, users, channels = Samples("R1"), 100, 300
    rate, seconds = 200, 4
    with Cluster(3, settings=PLAIN) as cluster:
        town = Town(cluster, users, [[c % users] for c in range(channels)])
        lines = write_lines("channels.txt", [" ".join(town.channels[u::users]) for u in range(users)])
        manual, names = town.hellos(manual=True), list(cluster.gateways)
        for number in range(5 * repeats):
            time.sleep(16)  # slots go back to a node that has been there for 10 s
            killed, well = names[number % 3], names[(number + 1) % 3]
            command = [os.path.join(machine.OUT, "load"), "post", str(cluster.gateways[well]), str(users), manual, lines,
                       "64", str(rate), str(rate * seconds)]
            with machine.Process(command, None, "post") as publisher:
                publisher.line()
                time.sleep(0.7)
                cluster.crash(killed)
                sent = json.loads(publisher.line())
            # Of all loads of that node so far: what a channel needs before its first command is read as one.
            loads = [f'waggle_channel_load_seconds{{quantile="{quantile}"}}' for quantile in ("0.5", "0.99")]
            load_p50_ms, load_p99_ms = (round(1e3 * load_s, 2) for load_s in counted(cluster.gateways[well], *loads))
            samples.add(longest_wait_ms=sent["max_ms"], load_p50_ms=load_p50_ms, load_p99_ms=load_p99_ms, p50_ms=sent["p50_ms"], acked=sent["acked"],
                        refused=sent["refused"], missing=rate * seconds - sent["acked"] - sent["refused"])
            cluster.start(killed)
    return samples


def at_rest(_repeats, _scale):
    """CPU of six nodes and a store that have nothing to do."""
    samples = Samples("idle-cluster")
    with Cluster(6, settings=PLAIN) as cluster:
        time.sleep(20)
        samples.add(percent_of_a_core=round(100 * idle(cluster, 30), 2))
    return samples


ROWS = {"P5": relayed, "P6": last_push, "P7": everybody, "P20": growth, "P20-channels": growth_of_channels, "R1": kills, "idle-cluster": at_rest}
