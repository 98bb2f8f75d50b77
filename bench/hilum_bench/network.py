"""A network namespace of the benchmark's own, in which every connection has the congestion control that it asks for.

The machine's settings are not touched: the namespace's own local routes name the congestion control (ip-route(8),
congctl), and go with it. So do all processes in it: it has process ids of its own, whose first is the runner.
"""

import os
import socket
import subprocess

from . import machine

TCP_CONGESTION = 13


class Unusable(Exception):
    """The namespace is not what it has to be; measuring in it would mean nothing."""


def only_run():
    """Keeps others from measuring on this machine while what it returns is open: two runs would measure each other."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind("\0hilum-bench")  # a name without a file; it goes with its owner, however that ends
    except OSError:
        lock.close()
        raise Unusable("another run is measuring on this machine") from None
    return lock


def command(*inside):
    """The command line that runs `inside` in a namespace of its own, as root or as anyone who may have namespaces."""
    unshare = machine.find("unshare")
    if unshare is None or machine.find("ip") is None:
        raise Unusable("unshare (util-linux) and ip (iproute2) are needed: make bench-deps")
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    return [unshare, *rights, "--net", "--pid", "--fork", "--kill-child", "--mount-proc", *inside]


def prepare(congestion, folder):
    """Called inside. Brings loopback up, sets the congestion control, and puts a file system in memory on `folder`."""
    run("ip", "link", "set", "lo", "up")
    for target in ("127.0.0.0/8", "127.0.0.1"):
        run("ip", "route", "replace", "table", "local", "local", target, "dev", "lo", "congctl", congestion)
    # Associations that were closed keep their ports for a minute; there should be enough for all others.
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as f:
        f.write("32768 65500")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "hilum-bench", folder)
    for side, used in zip(("connecting", "accepting"), used_congestion()):
        if used != congestion:
            raise Unusable(f"the {side} side of a connection uses {used} and not {congestion}: "
                           "this kernel does not take the congestion control from the route")


def run(*words):
    done = subprocess.run([machine.find(words[0]) or words[0], *words[1:]], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Unusable(f"{' '.join(words)}: {done.stdout.strip()}")


def used_congestion():
    """What both ends of a loopback connection use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), 5) as near:
            far, _ = server.accept()
            with far:
                return [s.getsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, 16).rstrip(b"\0").decode()
                        for s in (near, far)]
