"""What the system answers is another, one call after the other: `HILUM_IO_FAULTS` (src/io/faults.h) under the scripts of tests/faults."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "faults"))

import memory
from calls import WHATS, Calls
from seam import Seam


class IoCase(unittest.TestCase):
    """While something fails any answer is right that is in order, without a time-out; what was acknowledged arrives; without faults the same is
    served again; the gateway ends in order."""
    lingers = False
    settings = {}

    def setUp(self):
        self.report = memory.Report(sys.stderr)  # stdout is the runner's
        self.calls = Calls(self.report, self.lingers, **self.settings)
        self.calls.__enter__()

    def tearDown(self):
        self.calls.__exit__(None)
        self.assertEqual(self.report.troubles, [])

    def each(self, script, call, *whats, most=40, least=1):
        """Each of these faults, or all that the call may be told, at each of the script's calls."""
        self.calls.world.clean(script)
        for what in whats or WHATS[call]:
            self.assertGreaterEqual(self.calls.each(script, call, what, most), least, f"{script}: {call} has been called less often than this")

    def on(self, script, call, *whats, first=(1, 2, 3, 5, 8)):
        """From one of these calls on every one."""
        for what in whats:
            for number in first:
                self.calls.fault(script, f"{call}:{number}+:{what}")


class Sockets(IoCase):
    def test_accepts(self):
        for script in ("relay", "secure"):
            self.each(script, "accept", "ECONNABORTED")
        self.assertEqual(self.calls.world.gateway.events("accept failed"), [])  # a caller that has gone is no failure
        for script in ("relay", "secure"):
            self.each(script, "accept", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM")
        self.assertNotEqual(self.calls.world.gateway.events("accept failed"), [])

    def test_connects(self):
        for script in ("relay", "secure", "fan", "queue"):
            for call, whats in (("connect", ("EADDRNOTAVAIL", "ETIMEDOUT", "ENETUNREACH", "ECONNREFUSED", "EINTR")), ("socket", ("EMFILE", "ENOBUFS"))):
                self.each(script, call, *whats)

    def test_options_and_names(self):
        for script in ("relay", "secure"):
            self.each(script, "option", "EINVAL")
            self.each(script, "name", "ENOTCONN", "ENOBUFS")
        self.on("relay", "option", "ENOPROTOOPT", first=[1])

    def test_receives_of_plain_connections(self):
        for script in ("relay", "fan", "queue"):
            self.each(script, "receive", least=5)

    def test_receives_of_secure_connections(self):
        self.each("secure", "receive", least=5)

    def test_sends_of_plain_connections(self):
        for script in ("relay", "fan", "queue"):
            self.each(script, "send", least=5)

    def test_sends_of_secure_connections(self):
        self.each("secure", "send", least=5)

    def test_everything_is_short(self):
        """One byte a call, or a few: both directions, from the first or some call on."""
        for script in ("relay", "secure", "fan", "queue", "folder"):
            for call, whats in (("send", ("short=1", "short=1000")), ("receive", ("short=1", "short=7"))):
                self.on(script, call, *whats, first=(1, 4))


class Kept(IoCase):
    """The same on associations that were kept: a message may have to go again on another one."""
    lingers = True

    def test_sends_and_receives(self):
        for script in ("relay", "relay_large", "secure", "fan", "queue"):
            self.each(script, "receive", "ECONNRESET", "end", "short=1", least=3)
            self.each(script, "send", "EPIPE", "ENOMEM", "short=1", least=3)


class Passing(IoCase):
    settings = {"replay_max": "0", "max_pdu": 0}

    def test_into_a_pipe(self):
        for script in ("pass_by", "pass_to_two"):
            self.each(script, "splice-in", most=20)

    def test_out_of_a_pipe(self):
        for script in ("pass_by", "pass_to_two"):
            self.each(script, "splice-out", most=20)

    def test_copies_of_a_pipe(self):
        self.each("pass_to_two", "tee", most=20)

    def test_a_few_bytes_and_the_waiting(self):
        for script in ("pass_by", "pass_to_two"):
            self.each(script, "send-now", most=20)
            self.each(script, "receive-now", most=20)
            for what in ("ENOMEM", "EINVAL", "EBADF"):  # what would tell when to go on
                for call in ("splice-in", "splice-out"):
                    self.assertGreaterEqual(self.calls.fault(script, f"{call}:2:EAGAIN,poll:1:{what}"), 2)

    def test_no_pipes(self):
        for script in ("pass_by", "pass_to_two"):
            self.on(script, "pipe", "EMFILE", "ENFILE", first=[1, 2])

    def test_everything_is_short(self):
        self.on("pass_by", "splice-in", "short=4097", first=(1, 3))
        self.on("pass_to_two", "splice-out", "short=5000", first=(1, 3))
        self.on("pass_to_two", "send-now", "short=1", first=(1, 3))
        self.on("pass_by", "receive-now", "short=1", first=(1, 3))


class Files(IoCase):
    def test_of_a_folder(self):
        for call in ("ring-open", "ring-write", "ring-fdatasync", "ring-fsync", "ring-rename", "ring-close"):
            self.each("folder", call)

    def test_of_a_folder_without_renames(self):
        """A link, and the old name goes, where a file system cannot rename without replacing."""
        for what in ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EMLINK"):
            self.assertEqual(self.calls.fault("folder", f"ring-rename:1+:EINVAL,ring-link:1:{what}"), 2)
        for what in ("EIO", "EROFS"):
            self.assertEqual(self.calls.fault("folder", f"ring-rename:1+:EINVAL,ring-unlink:1:{what}"), 2)

    def test_of_the_queue(self):
        for script in ("queue", "copy", "both"):
            for call in ("write", "fdatasync", "open", "read"):
                self.each(script, call, most=4, least=0)


class Turns(IoCase):
    def test_the_ring_refuses_to_turn(self):
        for script in ("relay", "fan", "secure", "queue", "folder"):
            self.each(script, "enter", most=30, least=5)

    def test_the_ring_refuses_for_a_while(self):
        for script in ("relay", "secure", "folder"):
            for what in ("EINTR", "EAGAIN", "EBUSY"):
                self.assertGreater(self.calls.fault(script, f"enter:2-2000:{what}"), 100)

    def test_mail_between_threads_is_read_again(self):
        self.each("copy", "mailbox")


class Starts(unittest.TestCase):
    def test_a_start_says_why_it_cannot_or_serves(self):
        seam, troubles, count = Seam(), [], 0
        self.addCleanup(seam.close)
        for call, whats in {"setup": ["EMFILE", "EPERM"], "register": ["ENOMEM"], "eventfd": ["EMFILE"], "socket": ["EMFILE"],
                            "bind": ["EACCES", "EADDRINUSE"], "listen": ["EADDRINUSE"], "option": ["EINVAL"], "name": ["ENOBUFS"],
                            "mailbox": ["EINTR"], "accept": ["EMFILE"], "enter": ["EINTR", "EBUSY"], "pipe": ["EMFILE"],
                            "open": ["EMFILE", "EROFS"], "write": ["ENOSPC", "EDQUOT", "torn", "short=1"], "read": ["EIO", "short=1"],
                            "fdatasync": ["EIO"], "fsync": ["EIO", "EROFS"], "lock": ["EWOULDBLOCK", "ENOLCK"], "allocate": ["ENOSPC"],
                            "truncate": ["EROFS"], "mkdir": ["ENOSPC", "EROFS"], "list": ["EACCES"], "free": ["EIO"],
                            "stat": ["EIO"], "unlink": ["EROFS"]}.items():
            for what in (name.replace("EWOULDBLOCK", "EAGAIN") for name in whats):
                for number in range(1, 4):
                    with tempfile.TemporaryDirectory(prefix="hilum-starts-") as folder:
                        seam.arm(f"{call}:{number}:{what}")
                        failed, complaint = memory.start(seam, memory.write_config(folder))
                    count += failed
                    if complaint:
                        troubles.append(f"{call}:{number}:{what}: {complaint}")
                    if not failed:
                        break
        self.assertEqual(troubles, [])
        self.assertGreater(count, 40)
