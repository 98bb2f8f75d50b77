"""hilum node, and the control socket behind it: what it shows, what it does, what it takes from strangers."""

import json
import os
import signal
import socket
import stat
import tempfile
import threading

from dicom import make_instance
from harness import SLOW, Case, folder, free_port, hilum, node, route, wait_until

POOL = 'pool "archive" { members = { "a", "b" }, balance = "study" }'


def ask(path, request, close=False):
    """What the socket answers to these bytes, as text."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20 * SLOW)
        s.connect(path)
        try:
            s.sendall(request)
            if close:
                s.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        answer = b""
        try:
            while piece := s.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer.decode()


class Command(Case):
    def start(self, *declarations, **settings):
        gateway = self.gateway(*declarations, **settings)
        gateway.control = settings.get("control", gateway.folder + "/spool/control")
        return gateway

    def pooled(self, **settings):
        a, b = self.sink(), self.sink()
        return self.start(node("a", a, health="0"), node("b", b, max_associations=3), node("alone", free_port()), POOL,
                          folder("disk", "$FOLDER/files/{SOPInstanceUID}.dcm"),
                          route("all", to=["alone", "disk"], on_failure="queue"), retry={"first": "10m", "most": "10m"},
                          **settings)

    def node(self, gateway, *arguments, status=0):
        done = hilum("node", gateway.config, *arguments, cwd=gateway.folder)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def nodes(self, gateway):
        answer = json.loads(self.node(gateway, "list", "--json").stdout)
        self.assertTrue(answer["ok"])
        return {n["name"]: n for n in answer["nodes"]}


class Listing(Command):
    def test_every_node_and_what_is_known_of_it(self):
        gateway = self.pooled()
        nodes = self.nodes(gateway)
        self.assertEqual(list(nodes), ["a", "b", "alone", "disk"])
        self.assertEqual(nodes["a"] | {"port": 0},
                         {"name": "a", "kind": "node", "host": "127.0.0.1", "port": 0, "ae_title": "A",
                          "pools": ["archive"], "state": "there", "for_ms": None, "retry_in_ms": None, "cause": None,
                          "failures": 0, "drained": False, "associations": 0, "max_associations": None,
                          "bytes_on_the_way": 0, "health_ms": None})
        self.assertEqual(nodes["b"]["max_associations"], 3)
        self.assertEqual(nodes["alone"]["pools"], [])
        self.assertEqual(nodes["disk"] | {"folder": ""},
                         {"name": "disk", "kind": "folder", "folder": "", "pools": [], "state": "there"})

    def test_one_that_is_away(self):
        gateway = self.pooled()
        self.assert_stored(self.sender(gateway).store(make_instance(2000)))
        alone = self.nodes(gateway)["alone"]
        self.assertEqual((alone["state"], alone["cause"]), ("away", "Connection refused"))
        self.assertGreaterEqual(alone["failures"], 1)
        self.assertTrue(0 < alone["retry_in_ms"] <= 600000, alone)
        self.assertTrue(0 <= alone["for_ms"] < 60000, alone)
        text = self.node(gateway).stdout
        line = next(l for l in text.splitlines() if l.startswith("alone"))
        self.assertIn("away ", line)
        self.assertIn("Connection refused; next try in ", line)

    def test_what_is_on_its_way(self):
        sink = self.sink(at_answer="never")
        gateway = self.start(node("a", sink), route("all", to="a"))
        sender = self.sender(gateway)
        one = make_instance(50000)
        context = sender.begin(one)
        sender.data(context, one.data, last=True)
        wait_until(lambda: sink.messages, "the message")
        a = self.nodes(gateway)["a"]
        self.assertEqual((a["associations"], a["bytes_on_the_way"]), (1, len(one.data)))
        sender.close()
        sink.associations[-1].reset()
        wait_until(lambda: self.nodes(gateway)["a"]["bytes_on_the_way"] == 0, "that it is over")

    def test_for_people(self):
        text = self.node(self.pooled(), "list").stdout.splitlines()
        self.assertEqual(text[0].split(), ["node", "address", "title", "pools", "state", "failures", "associations", "on",
                                           "its", "way"])
        self.assertEqual([l.split()[0] for l in text[1:]], ["a", "b", "alone", "disk"])
        self.assertIn(" 0/3 ", text[2])

    def test_after_a_reload(self):
        gateway = self.pooled()
        gateway.write(node("new", free_port()), route("all", to="new"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "the reload")
        self.assertEqual(list(self.nodes(gateway)), ["new"])


class Draining(Command):
    def test_drain_and_resume(self):
        gateway = self.pooled()
        done = self.node(gateway, "drain", "a")
        self.assertEqual(done.stdout, "a is drained: no new study from archive\n")
        self.assertTrue(self.nodes(gateway)["a"]["drained"])
        self.assertFalse(self.nodes(gateway)["b"]["drained"])
        self.assertIn("drained", next(l for l in self.node(gateway).stdout.splitlines() if l.startswith("a ")))
        self.assertEqual([e["node"] for e in gateway.events("node is drained")], ["a"], "the log says since when")
        self.assertEqual(self.node(gateway, "resume", "a").stdout, "a takes new studies from archive\n")
        self.assertFalse(self.nodes(gateway)["a"]["drained"])
        self.assertEqual([e["node"] for e in gateway.events("node is no longer drained")], ["a"])

    def test_it_is_kept_over_a_reload(self):
        gateway = self.pooled()
        self.node(gateway, "drain", "a")
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "the reload")
        self.assertTrue(self.nodes(gateway)["a"]["drained"])

    def test_outside_of_pools_it_means_nothing_and_says_so(self):
        gateway = self.pooled()
        done = self.node(gateway, "drain", "alone")
        self.assertIn("no pool has this node", done.stderr)
        self.assertIn("note", json.loads(self.node(gateway, "drain", "alone", "--json").stdout))

    def test_what_cannot_be_drained(self):
        gateway = self.pooled()
        for name, words in (("alonne", 'did you mean "alone"?'), ("archive", "this is a pool"), ("disk", "folder"),
                            ("zzzzzzzz", "no such node")):
            with self.subTest(name):
                done = self.node(gateway, "drain", name, status=2)
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stdout, "")


class Usage(Command):
    def test_no_gateway_runs(self):
        gateway = self.pooled()
        gateway.kill()
        gateway.status = 0  # as it was told to
        self.assertTrue(os.path.exists(gateway.control), "a kill leaves the name behind")
        done = self.node(gateway, "list", status=1)
        self.assertIn("no gateway of this configuration runs", done.stderr)

    def test_there_is_no_socket(self):
        for settings, words in (({"spool": False}, "gateway.spool is false"),
                                ({"control": False}, "gateway.control is false")):
            with self.subTest(words):
                gateway = self.start(node("a", free_port()), route("all", to="a"), **settings)
                self.assertIn(words, self.node(gateway, status=1).stderr)

    def test_wrong_usage(self):
        for arguments in ([], ["c.lua", "restart"], ["c.lua", "drain"], ["c.lua", "list", "a"],
                          ["c.lua", "drain", "a", "b"], ["--fast", "c.lua"], ["c.lua", "drain", "a\nb"]):
            with self.subTest(arguments):
                done = hilum("node", *arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertIn("hilum node", done.stderr)
        self.assertEqual(hilum("node", "nowhere.lua").returncode, 1)
        self.assertIn("drain NAME", hilum("node", "--help").stdout)

    def test_a_path_that_is_too_long(self):
        with tempfile.TemporaryDirectory() as at:
            config = os.path.join(at, "c.lua")
            with open(config, "w") as f:
                f.write('gateway { control = "/' + "x" * 107 + '", spool = false }\nlisten "0"\n')
            done = hilum("check", config)
            self.assertEqual(done.returncode, 1)
            self.assertIn("control is 108 bytes long; the path of a socket has 107 at most", done.stdout)


class Socket(Command):
    def test_only_its_user_may_connect(self):
        gateway = self.pooled()
        self.assertEqual(stat.S_IMODE(os.lstat(gateway.control).st_mode), 0o600)

    def test_a_path_of_its_own_without_a_spool(self):
        at = self.temporary_folder()
        gateway = self.start(node("a", free_port()), route("all", to="a"), spool=False, control=at + "/socket")
        self.assertEqual(list(self.nodes(gateway)), ["a"])
        gateway.stop()
        self.assertFalse(os.path.exists(at + "/socket"), "it is taken away at the end")

    def test_what_a_dead_gateway_left_is_replaced(self):
        gateway = self.pooled()
        gateway.kill()
        self.assertTrue(os.path.exists(gateway.control))
        gateway.start()
        self.assertIn("a", self.nodes(gateway))

    def test_what_is_no_socket_is_left_alone(self):
        at = self.temporary_folder() + "/file"
        with open(at, "w") as f:
            f.write("mine")
        gateway = self.start(node("a", free_port()), route("all", to="a"), control=at)
        self.assertEqual(gateway.events("no control socket")[0]["level"], "warn")
        with open(at) as f:
            self.assertEqual(f.read(), "mine")

    def test_a_second_gateway_does_not_steal_it_and_takes_it_over(self):
        at = self.temporary_folder() + "/socket"
        first = self.start(node("first", free_port()), route("all", to="first"), control=at)
        second = self.start(node("second", free_port()), route("all", to="second"), control=at)
        self.assertEqual(second.events("no control socket")[0]["cause"], "another gateway has it")
        self.assertEqual(list(self.nodes(second)), ["first"])
        self.assertEqual(first.stop(), [])
        wait_until(lambda: os.path.exists(at), "the second one's socket", 20)
        self.assertEqual(list(self.nodes(second)), ["second"])

    def test_garbage_is_answered_by_an_error(self):
        gateway = self.pooled()
        for request in (b"\n", b"lost\n", b"list \n", b"LIST\n", b"drain\n", b"drain \n", b"drain a b\n", b"\0\0\n",
                        b"list\0\n", b"\xff\xfe\x80\n", b"x" * 600, b"x" * 100000 + b"\n", b"drain " + b"y" * 480 + b"\n",
                        b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 4):
            with self.subTest(request[:20]):
                answer = json.loads(ask(gateway.control, request))
                self.assertFalse(answer["ok"])
                self.assertIn("reason", answer)
        self.assertEqual(ask(gateway.control, b"list", close=True), "", "a line without an end is none")
        self.assertEqual(ask(gateway.control, b"", close=True), "")
        self.assertTrue(json.loads(ask(gateway.control, b"list\r\n"))["ok"])
        self.assertTrue(json.loads(ask(gateway.control, b"list\nmore\n"))["ok"])
        self.assertIn("a", self.nodes(gateway))

    def test_bit_by_bit(self):
        gateway = self.pooled()
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(gateway.control)
            s.settimeout(20 * SLOW)
            for byte in b"list\n":
                s.sendall(bytes([byte]))
            self.assertTrue(s.recv(10).startswith(b'{"ok":true'))

    def test_many_clients(self):
        """More at once than have a place, and as many that say nothing: those have a place for some seconds."""
        gateway = self.pooled()
        silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for s in silent:
            s.connect(gateway.control)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(json.loads(ask(gateway.control, b"list\n"))))
                   for _ in range(30)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(50 * SLOW)
        self.assertEqual([a["ok"] for a in answers], [True] * 30)
        for s in silent:
            s.close()

    def test_who_does_not_read_costs_a_place_for_a_while(self):
        """1,000 nodes: an answer that no socket's buffer holds."""
        gateway = self.start(*(node(f"node{i}", free_port() if i == 0 else 20000 + i) for i in range(1000)),
                             route("all", to="node0"))
        deaf = [socket.socket(socket.AF_UNIX) for _ in range(16)]
        for s in deaf:
            s.connect(gateway.control)
            s.sendall(b"list\n")
        self.assertEqual(len(self.nodes(gateway)), 1000)
        for s in deaf:
            s.close()

    def test_it_ends_with_clients_connected(self):
        gateway = self.pooled()
        clients = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for s in clients:
            s.connect(gateway.control)
            s.sendall(b"li")
        self.assertEqual(gateway.stop(), [])
        for s in clients:
            s.close()
