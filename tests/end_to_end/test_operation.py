"""SIGTERM drains, SIGHUP reloads, and the log says what happened."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

from dicom import make_instance
from harness import HILUM, SLOW, Case, Gateway, folder, free_port, hilum, is_listening, node, route, wait_until


class Drain(Case):
    def half_sent(self, gateway, sink, size=400_000):
        sender, one = self.sender(gateway), make_instance(size)
        context = sender.begin(one)
        sender.data(context, one.data[:size // 2])
        wait_until(lambda: sink.arrived() > 0, "payload has left")
        return sender, one, lambda: sender.data(context, one.data[size // 2:], last=True)

    def test_SIGTERM_lets_what_is_in_flight_finish_and_exits_with_0(self):
        gateway, sink = self.simple()
        sender, one, finish = self.half_sent(gateway, sink)
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: not is_listening(gateway.port), "it has stopped accepting")
        finish()
        self.assert_stored(sender.response())
        self.assertEqual(sink.messages[0].data, one.data)
        self.assertEqual(gateway.wait_exit(), 0)

    def test_an_answer_that_is_outstanding_is_waited_for(self):
        gateway, sink = self.simple(delay=1)
        sender, one = self.sender(gateway), make_instance()
        sender.send(sender.context_for(one), sender.store_command(one), one.data)
        wait_until(lambda: sink.uids == [one.uid], "it has arrived")
        gateway.signal(signal.SIGTERM)
        self.assert_stored(sender.response())
        self.assertEqual(gateway.wait_exit(), 0)

    def test_idle_associations_do_not_hold_it_up(self):
        gateway, sink = self.simple(settings={"timeouts": {"drain": "30s"}})
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance()))
        start = time.monotonic()
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait_exit(), 0)
        self.assertLess(time.monotonic() - start, 5 * SLOW)
        wait_until(lambda: not sink.open(), "no association to the node is left")
        self.assertIn(sink.used()[0].ended, ("release", "abort"))

    def test_what_does_not_finish_is_aborted_after_drain(self):
        gateway, sink = self.simple(settings={"timeouts": {"drain": "700ms"}})
        sender, _, _ = self.half_sent(gateway, sink)
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait_exit(), 0)
        self.assertIn(sender.end(), ("abort", "close"))
        self.assertEqual(sink.messages, [])
        wait_until(lambda: sink.used() == [] and not sink.open(), "the node's association has ended")

    def test_what_waits_for_a_node_does_not_hold_up_the_end(self):
        """Transient rejections: asked again later and later, whether the sender is still there or not."""
        gateway, sink = self.simple(settings={"timeouts": {"drain": "300ms", "response": "1m", "association": "1s"}})
        senders = [self.sender(gateway) for _ in range(4)]
        sink.reject = (2, 3, 1)
        for association in sink.open():
            association.reset()
        for i, sender in enumerate(senders):
            one = make_instance()
            sender.send(sender.context_for(one), sender.store_command(one), one.data)
            if i % 2:
                sender.reset()
        wait_until(lambda: sink.rejections > 12, "they are in line for a while")
        start = time.monotonic()
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait_exit(), 0)
        self.assertLess(time.monotonic() - start, 1 * SLOW)

    def test_a_second_signal_does_not_harm(self):
        gateway, sink = self.simple(settings={"timeouts": {"drain": "1s"}})
        self.half_sent(gateway, sink)
        for _ in range(3):
            gateway.signal(signal.SIGTERM)
            time.sleep(0.05)
        self.assertEqual(gateway.wait_exit(), 0)

    def test_connections_that_come_while_it_stops_are_closed(self):
        for hurry in range(6):
            gateway, _ = self.simple(settings={"workers": 4, "timeouts": {"drain": "1s"}})
            stopped = threading.Event()

            def connect():
                while not stopped.is_set():
                    try:
                        socket.create_connection(("127.0.0.1", gateway.port), 1).close()
                    except OSError:
                        pass
            threads = [threading.Thread(target=connect) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.1)
            gateway.signal(signal.SIGTERM)
            time.sleep(hurry / 1000)
            gateway.signal(signal.SIGTERM)
            status = gateway.wait_exit()
            stopped.set()
            for thread in threads:
                thread.join()
            self.assertEqual(status, 0, gateway.log())


class Workers(Case):
    def newest(self, gateway):
        """The worker that got the last connection: its number stands in the association's id."""
        return gateway.events("association accepted")[-1]["assoc"].split("-")[0]

    def test_a_connection_goes_to_the_worker_that_has_the_fewest(self):
        gateway, _ = self.simple(settings={"workers": 4})
        held = {}
        for i in range(12):
            sender = self.sender(gateway)
            held.setdefault(self.newest(gateway), []).append(sender)
        self.assertEqual({worker: len(senders) for worker, senders in held.items()}, {f"w{i}": 3 for i in range(4)})
        for worker in ("w1", "w3"):
            for sender in held[worker][:2]:
                ended = len(gateway.events("association ended"))
                sender.release()
                wait_until(lambda: len(gateway.events("association ended")) > ended, "it has ended")
        wait_until(lambda: gateway.log().count("Sta13 Evt17") == 4, "and is closed")
        later = []
        for _ in range(4):
            self.sender(gateway)
            later.append(self.newest(gateway))
        self.assertEqual(sorted(later), ["w1", "w1", "w3", "w3"])


class Reload(Case):
    def two(self):
        a, b = self.sink(), self.sink()
        nodes = [node("a", a), node("b", b)]
        gateway = self.gateway(*nodes, route("all", to="a"))
        return gateway, nodes, a, b

    def served_by(self, gateway, sink):
        before = len(sink.messages)
        sender = self.sender(gateway)
        status = sender.store(make_instance()).status
        sender.release()
        return status == 0 and len(sink.messages) > before

    def test_new_associations_use_the_new_configuration_and_running_ones_finish_on_the_old(self):
        gateway, nodes, a, b = self.two()
        old = self.sender(gateway)
        self.assert_stored(old.store(make_instance()))
        gateway.write(*nodes, route("all", to="b"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: self.served_by(gateway, b), "new associations go by the new configuration")
        count = len(a.messages)
        self.assert_stored(old.store(make_instance()))
        self.assertEqual(len(a.messages), count + 1)

    def test_an_invalid_configuration_is_refused_and_the_old_one_stays(self):
        gateway, nodes, a, b = self.two()
        gateway.write(*nodes, 'route "all" { to = { "nobody" } }')
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: re.search(r"hilum\.lua:\d+", gateway.log()), "the error is logged with its line")
        self.assertTrue(self.served_by(gateway, a))
        gateway.write(*nodes, route("all", to="b"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: self.served_by(gateway, b), "a later good one is taken")

    def test_a_listener_comes_and_goes(self):
        gateway, nodes, a, b = self.two()
        first, second = gateway.port, free_port()
        gateway.listen = [f'listen "127.0.0.1:{second}"']
        gateway.write(*nodes, route("all", to="a"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: is_listening(second), "the new port is served")
        wait_until(lambda: not is_listening(first), "the old one is closed")
        gateway.port = second
        self.assertTrue(self.served_by(gateway, a))

    def reload(self, gateway, *declarations, listen=None, event="reloaded"):
        gateway.listen = listen or gateway.listen
        before = len(gateway.events(event))
        gateway.write(*declarations)
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: len(gateway.events(event)) > before, event)

    def test_a_listener_changes_its_address_and_keeps_its_port(self):
        gateway, nodes, a, b = self.two()
        every, one = f'listen "{gateway.port}"', f'listen "127.0.0.1:{gateway.port}"'
        other = f'listen {{ address = "127.0.0.2", port = {gateway.port}, name = "other" }}'
        old = self.sender(gateway)
        for listen in ([every], [one], [other, one], [every], [one]):
            with self.subTest(listen):
                self.reload(gateway, *nodes, route("all", to="b"), listen=listen)
                wait_until(lambda: self.served_by(gateway, b), "the new listener serves")
        self.assert_stored(old.store(make_instance()))
        self.assertEqual(len(a.messages), 1, "what ran before goes on as before")

    def test_a_port_that_another_has_refuses_the_whole_reload(self):
        gateway, nodes, a, b = self.two()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen(1)
            taken = other.getsockname()[1]
            for listen in ([f'listen "127.0.0.1:{taken}"'],
                           [f'listen "{gateway.port}"', f'listen "127.0.0.1:{taken}"']):
                with self.subTest(listen):
                    self.reload(gateway, *nodes, route("all", to="b"), listen=listen,
                                event="reload refused, the old configuration stays")
                    wait_until(lambda: self.served_by(gateway, a), "the old configuration serves on the old listener")

    def test_the_problems_of_a_refused_reload_are_lines_of_the_log(self):
        gateway, nodes, a, b = self.two()
        self.reload(gateway, *nodes, route("all", to="nowhere"), event="reload refused, the old configuration stays")
        problems = gateway.events("configuration problem")
        self.assertEqual(len(problems), 1, "one line, in the log's format")
        self.assertIn("nowhere", problems[0]["problem"])

    def test_a_refused_reload_leaves_the_log_as_it_was(self):
        gateway, nodes, a, b = self.two()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen(1)
            gateway.settings["log"] = {"level": "error", "format": "logfmt"}
            self.reload(gateway, *nodes, route("all", to="a"), listen=[f'listen "127.0.0.1:{other.getsockname()[1]}"'],
                        event="reload refused, the old configuration stays")
        self.served_by(gateway, a)
        wait_until(lambda: gateway.events("message answered"), "the level is still the old one")

    def test_twenty_reloads_under_traffic_lose_nothing(self):
        gateway, nodes, a, b = self.two()
        sender = self.sender(gateway)
        for i in range(20):
            gateway.write(*nodes, route("all", to="ab"[i % 2]))
            gateway.signal(signal.SIGHUP)
            self.assert_stored(sender.store(make_instance(200_000)))
            other = self.sender(gateway)
            self.assert_stored(other.store(make_instance()))
        self.assertEqual(len(a.messages) + len(b.messages), 40)


class Log(Case):
    def traffic(self, **settings):
        gateway, sink = self.simple(settings=settings)
        for calling in ("CT1", "CT2"):
            sender = self.sender(gateway, calling=calling)
            self.assert_stored(sender.store(make_instance()))
            sender.release()
        self.assertEqual(gateway.stop(), [])
        return gateway.log()

    def test_every_line_is_JSON_and_each_association_has_an_id_in_every_line_of_it(self):
        lines = [json.loads(line) for line in self.traffic().splitlines()]
        for line in lines:
            self.assertTrue({"time", "level", "event"} <= set(line), line)
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        by_calling = {c: {l["assoc"] for l in lines if l.get("calling") == c and "assoc" in l} for c in ("CT1", "CT2")}
        self.assertTrue(all(by_calling.values()), "no line names an association and its calling title")
        self.assertFalse(by_calling["CT1"] & by_calling["CT2"], "two associations share an id")
        for line in lines:
            if line.get("calling") or "status" in line or "sop_instance" in line:
                self.assertIn("assoc", line)

    def test_every_line_about_a_message_names_its_association(self):
        """A file that is stored, an association that dies under a message, one that fails, one that is abandoned."""
        sink = self.sink()
        gateway = self.gateway(node("a", sink), folder("f", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                               route("all", to=["a", "f"]))
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance()))
        sink.at_answer = lambda m: "close" if len(sink.messages) == 2 else None
        self.assert_stored(sender.store(make_instance()))
        sink.answer = 0xA700
        self.assert_stored(sender.store(make_instance()), 0xA700)
        sender.begin(make_instance())
        sender.reset()
        events = ("file stored", "sent again on a fresh association", "destination failed", "message answered",
                  "message abandoned by its sender")
        for event in events:
            wait_until(lambda: gateway.events(event), event)
        for line in gateway.events():
            if "message" in line:
                self.assertEqual(line.get("assoc"), line["message"].split("/")[0], line)

    def test_logfmt_lines_are_keys_and_values(self):
        log = self.traffic(log_format="logfmt")
        value = r'("([^"\\]|\\.)*"|[^" ]*)'
        for line in log.splitlines():
            self.assertRegex(line, rf"^time=\S+ level=\w+ event={value}( [a-z_]+={value})*$")

    def test_hostile_titles_cannot_forge_a_line(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway, calling=b'X"\n{"event":1}\x1b')
        self.assert_stored(sender.store(make_instance()))
        sender.release()
        self.assertEqual(gateway.stop(), [])
        for line in gateway.log().splitlines():
            self.assertNotEqual(json.loads(line)["event"], 1)

    def test_the_level_is_kept(self):
        gateway, sink = self.simple(settings={"log": {"level": "error", "format": "json"}})
        self.assert_stored(self.sender(gateway).store(make_instance()))
        self.assertEqual([e for e in gateway.events() if e["level"] != "error"], [])


class Unread(Gateway):
    """Its log is a pipe that holds no more, until it is read."""

    def start(self):
        self.status, self.text = None, b""
        self.reader, self.writer = os.pipe()
        self.process = subprocess.Popen([HILUM, "run", self.config], stdin=subprocess.DEVNULL, stdout=self.writer,
                                        stderr=self.writer, cwd=self.folder, env=self.environment)
        wait_until(lambda: is_listening(self.port), "the gateway listens")
        self.fill()

    def fill(self):
        """By a description of our own: that of the gateway stays as it is."""
        fd = os.open(f"/proc/self/fd/{self.writer}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            for size in (4096, 1):
                try:
                    while True:
                        os.write(fd, b"x" * (size - 1) + b"\n")
                except BlockingIOError:
                    pass
        finally:
            os.close(fd)

    def log(self):
        while select.select([self.reader], [], [], 0)[0]:
            self.text += os.read(self.reader, 1 << 20)
        return self.text.decode()

    def remove(self):
        os.close(self.reader)
        os.close(self.writer)
        super().remove()


class Stalled(Case):
    """Nobody reads the log."""

    def unread(self, **settings):
        sink = self.sink()
        gateway = Unread(node("a", sink), route("all", to="a"), **settings)
        self.addCleanup(self._stop_gateway, gateway)
        return gateway

    def serve(self, gateway, count=20):
        for _ in range(count):
            with self.sender(gateway) as sender:
                self.assert_stored(sender.store(make_instance()))

    def test_who_does_not_read_the_log_holds_up_nobody_and_is_told_what_is_missing(self):
        gateway = self.unread()
        self.serve(gateway)
        gateway.log()
        told = wait_until(lambda: gateway.events("log lines lost"), "it is told without another line")
        self.assertGreater(sum(line["lines"] for line in told), 100)
        self.serve(gateway, 1)
        wait_until(lambda: gateway.events("association ended"), "the log goes on")

    def test_SIGTERM_ends_it_while_nobody_reads(self):
        gateway = self.unread(timeouts={"drain": "2s"})
        self.serve(gateway)
        begun = time.monotonic()
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait_exit(10), 0)
        self.assertLess(time.monotonic() - begun, 4 * SLOW)

    def test_a_reload_that_prints_does_not_wait_for_a_reader(self):
        gateway, other = self.unread(), free_port()
        gateway.listen.append(f'listen "127.0.0.1:{other}"')
        gateway.write(node("a", self.sink()), route("all", to="a"), 'print(("y"):rep(300000))')
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: is_listening(other), "it has been read")
        self.serve(gateway)


class Ports(Case):
    def test_a_port_that_is_taken_is_an_error_and_no_start(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            folder = self.temporary_folder()
            with open(folder + "/c.lua", "w") as f:
                f.write(f'listen "127.0.0.1:{taken.getsockname()[1]}"\nnode "d" {{ folder = "{folder}/o/{{SOPInstanceUID}}" }}\n'
                        'route "r" { to = { "d" } }\n')
            done = hilum("run", folder + "/c.lua", cwd=folder)  # where its spool goes
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr.lower())
