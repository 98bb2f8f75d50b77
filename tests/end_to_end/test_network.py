"""A node behind a wire that is cut: no reset comes, and nothing else either. All of it in network namespaces of its own."""

import contextlib
import ctypes
import os
import subprocess
import unittest

from dicom import CT, EXPLICIT, make_instance
from harness import SLOW, Case, need, node, route, same_data, wait_until
from sender import Sender

CLONE_NEWNET = 0x40000000
GATEWAY, NODE = "10.77.0.1", "10.77.0.2"
SIZE = 4 << 20
TIMEOUTS = {"connect": "1s", "association": "1s", "progress": "1s", "response": "1s", "lag": "1s"}
QUICK = {"first": "100ms", "most": "500ms"}


def enter(namespace):
    """The calling thread, what it starts, and what it opens."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise unittest.SkipTest(f"no network namespace may be entered: {os.strerror(ctypes.get_errno())}")


class Wire:
    """Two namespaces with a wire between them; the calling thread is in the gateway's from then on."""

    def __init__(self):
        self.ip, unshare = need("ip"), need("unshare")
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.holders, self.ends = [], []
        try:
            for _ in range(2):
                # says so once it is there; ends when its input does
                holder = subprocess.Popen([unshare, "-n", "sh", "-c", "echo; read _"], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                self.holders.append(holder)
                if holder.stdout.readline() != b"\n":
                    raise unittest.SkipTest("no network namespace can be made; it takes root")
                self.ends.append(os.open(f"/proc/{holder.pid}/ns/net", os.O_RDONLY))
            with self.inside(1):
                self.run("link set lo up")
            enter(self.ends[0])
            self.run("link set lo up")
            self.run(f"link add near type veth peer name far netns {self.holders[1].pid}")
            self.run(f"addr add {GATEWAY}/24 dev near")
            self.run("link set near up")
            with self.inside(1):
                self.run(f"addr add {NODE}/24 dev far")
                self.run("link set far up")
        except BaseException:
            self.close()
            raise

    def run(self, words):
        done = subprocess.run([self.ip, *words.split()], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise unittest.SkipTest(f"ip {words}: {done.stderr.strip()}")

    @contextlib.contextmanager
    def inside(self, end):
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        enter(self.ends[end])
        try:
            yield
        finally:
            enter(before)
            os.close(before)

    def cut(self):
        """At the node's side: the gateway's kernel sees a wire that is there, and nobody who answers."""
        with self.inside(1):
            self.run("addr del 10.77.0.2/24 dev far")

    def mend(self):
        with self.inside(1):
            self.run("addr add 10.77.0.2/24 dev far")

    def degrade(self, how):
        """Both directions, by netem: "delay 20ms 10ms loss 5%"."""
        tc = need("tc")
        for end, device in enumerate(("near", "far")):
            with self.inside(end):
                done = subprocess.run([tc, *f"qdisc add dev {device} root netem {how}".split()], capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    raise unittest.SkipTest(f"this kernel has no netem: {done.stderr.strip()}")

    def close(self):
        enter(self.home)
        os.close(self.home)
        for end in self.ends:
            os.close(end)
        for holder in self.holders:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()


class Network(Case):
    seconds = 90

    def setUp(self):
        self.wire = Wire()
        self.addCleanup(self.wire.close)
        with self.wire.inside(1):
            self.far = self.sink(address=NODE)
        self.near = self.sink()

    def start(self, on_failure):
        return self.gateway(node("far", self.far, host=NODE), node("near", self.near),
                            route("far", "far", when={"calling": "TO_FAR"}, on_failure=on_failure),
                            route("near", "near", when={"calling": "TO_NEAR"}),
                            route("both", ["far", "near"], when={"calling": "TO_BOTH"}), timeouts=TIMEOUTS, retry=QUICK)

    def cut_in_the_middle(self, gateway, calling):
        """(sender, instance): all of it is sent, half of it before the wire was cut."""
        one = make_instance(SIZE)
        sender = self.sender(gateway, ((CT, [EXPLICIT]),), calling=calling)
        context = sender.begin(one)
        sender.data(context, one.data[:SIZE // 2])
        wait_until(lambda: self.far.arrived() > 65536, "the node gets it")
        self.wire.cut()
        sender.data(context, one.data[SIZE // 2:], last=True)
        return sender, one

    def assert_others_go_on(self, gateway):
        one = make_instance(5000)
        with Sender(gateway.port, [(CT, [EXPLICIT])], calling="TO_NEAR", seconds=20 * SLOW) as sender:
            self.assert_stored(sender.store(one))

    def check_degraded(self, how):
        """What is slow, lost, doubled or out of order is TCP's to mend: all arrives whole, and others do not wait for it."""
        self.wire.degrade(how)
        gateway = self.gateway(node("far", self.far, host=NODE), node("near", self.near), route("far", "far", when={"calling": "TO_FAR"}),
                               route("near", "near", when={"calling": "TO_NEAR"}))
        sent = [make_instance(200_000) for _ in range(4)]
        sender = self.sender(gateway, ((CT, [EXPLICIT]),), calling="TO_FAR", seconds=60)
        for one in sent:
            context = sender.begin(one)
            sender.data(context, one.data[:100_000])
            self.assert_others_go_on(gateway)
            sender.data(context, one.data[100_000:], last=True)
            self.assert_stored(sender.response())
        self.assertEqual([m.data for m in self.far.messages], [one.data for one in sent])

    def test_a_slow_wire(self):
        self.check_degraded("delay 100ms 30ms")

    def test_a_lossy_wire(self):
        self.check_degraded("delay 10ms 5ms loss 5% duplicate 2% reorder 10%")

    def test_a_node_that_disappears_in_the_middle_fails_in_time_and_nobody_else(self):
        gateway = self.start("fail")
        sender, _ = self.cut_in_the_middle(gateway, "TO_FAR")
        self.assert_others_go_on(gateway)
        self.assert_stored(sender.response(), 0xA700)
        self.wire.mend()
        again = make_instance(5000)
        wait_until(lambda: self.sender(gateway, ((CT, [EXPLICIT]),), calling="TO_FAR").store(again).status == 0, "it is served again", 30)

    def test_the_queue_takes_over_and_delivers_once_when_the_node_is_back(self):
        gateway = self.start("queue")
        sender, one = self.cut_in_the_middle(gateway, "TO_FAR")
        self.assert_others_go_on(gateway)
        self.assert_stored(sender.response())
        self.assertEqual(self.far.messages, [])
        self.wire.mend()
        wait_until(lambda: self.far.messages, "it arrives", 40)
        self.assertTrue(same_data(one.data, self.far.messages[0].data))
        self.assertEqual([m.uid for m in self.far.messages], [one.uid])

    def test_a_fan_out_with_one_that_disappears_ends_for_all_and_says_so(self):
        gateway = self.start("fail")
        sender, one = self.cut_in_the_middle(gateway, "TO_BOTH")
        self.assert_stored(sender.response(), 0xA700)
        wait_until(lambda: one.uid in self.near.uids, "the other has it")
        self.assert_others_go_on(gateway)
