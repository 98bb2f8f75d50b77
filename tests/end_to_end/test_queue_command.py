"""hilum queue: looking into the durable queue and acting on it, beside a running gateway and without one."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import threading

import dicom
from dicom import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, instance_of, make_instance, new_uid
from harness import HILUM, Case, Lua, files_under, folder, free_port, hilum, node, route, same_data, wait_until

QUICK = {"first": "50ms", "most": "100ms"}
ALL = [(CT, [t]) for t in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)]


def copy_to(name, *nodes, **keys):
    return f'route "{name}" {{ copy = {{ {", ".join(f"{n!r}" for n in nodes)} }}' + "".join(
        f", {key} = {value}" for key, value in keys.items()) + " }"


class Queue(Case):
    def start(self, *declarations, **settings):
        return self.gateway(*declarations, **{"retry": QUICK, **settings})

    def away(self, *more, count=3, **settings):
        """A gateway with instances for node "a", which is away; (gateway, port of a, what was sent)."""
        port = free_port()
        gateway = self.start(node("a", port), *more, copy_to("all", "a"), **settings)
        sent = [make_instance(1000 * (i + 1)) for i in range(count)]
        self.send(gateway, *sent)
        return gateway, port, sent

    def send(self, gateway, *instances):
        with self.sender(gateway, ALL) as sender:
            for one in instances:
                self.assert_stored(sender.store(one))

    def queue(self, gateway, *arguments, status=0):
        done = hilum("queue", gateway.config, *arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def json(self, gateway, *arguments, status=0):
        return json.loads(self.queue(gateway, *arguments, "--json", status=status).stdout)

    def entries(self, gateway, *arguments):
        return self.json(gateway, "list", *arguments)["entries"]

    def of(self, gateway, instance):
        """The rows of an instance, whatever their state."""
        return self.entries(gateway, "--instance", instance.uid)

    def until(self, gateway, instance, state):
        """The one row of an instance, once it is in this state."""
        def row():
            rows = self.of(gateway, instance)
            return rows[0] if rows and rows[0]["state"] == state else None
        return wait_until(row, f"an entry is {state}")

    def until_queued(self, gateway, count):
        return wait_until(lambda: len(found := self.entries(gateway)) == count and found, f"{count} entries")


class Looking(Queue):
    def test_what_is_live_is_listed_with_a_summary_by_node(self):
        gateway, _, sent = self.away()
        rows = self.until_queued(gateway, 3)
        found = self.json(gateway)
        self.assertTrue(found["is_running"])
        self.assertEqual([row["sop_instance"] for row in rows], [one.uid for one in sent])
        self.assertEqual([row["bytes"] for row in rows], [len(one.data) for one in sent])
        self.assertEqual({(row["node"], row["route"], row["calling"]) for row in rows}, {("a", "all", "SENDER")})
        a, = found["nodes"]
        self.assertEqual((a["node"], a["is_configured"], a["failed"]), ("a", True, 0))
        self.assertEqual(a["queued"] + a["waiting"], 3)
        self.assertEqual(a["bytes"], sum(len(one.data) for one in sent))
        words = self.queue(gateway).stdout
        self.assertRegex(words, r"node +held +queued +waiting +failed +oldest +bytes\na +0 +\d +\d +0 +\d+s +\d")
        for row in rows:
            self.assertRegex(words, rf"(?m)^{row['id']} +(queued|waiting) +a +\d+s .*{row['sop_instance']}")

    def test_a_stopped_gateways_queue_is_listed(self):
        gateway, _, sent = self.away()
        self.assertEqual(gateway.stop(), [])
        found = self.json(gateway)
        self.assertFalse(found["is_running"])
        self.assertEqual([row["sop_instance"] for row in found["entries"]], [one.uid for one in sent])

    def test_what_a_killed_gateway_has_acknowledged_is_listed(self):
        gateway, _, sent = self.away(count=20)
        gateway.kill()
        self.assertEqual([row["sop_instance"] for row in self.entries(gateway)], [one.uid for one in sent])
        gateway.start()
        self.assertEqual(len(self.until_queued(gateway, 20)), 20)

    def test_a_list_goes_by_pages(self):
        gateway, _, sent = self.away(count=5)
        self.until_queued(gateway, 5)
        found, after = [], []
        while True:
            page = self.json(gateway, "--limit", "2", *after)
            found += page["entries"]
            if not page["next"]:
                break
            self.assertEqual(len(page["entries"]), 2)
            after = ["--after", page["next"]]
        self.assertEqual([row["sop_instance"] for row in found], [one.uid for one in sent])
        cut = self.queue(gateway, "list", "--limit", "2")
        self.assertIn(f"--after {found[1]['id']}", cut.stderr)
        self.assertEqual(len(self.entries(gateway, "--limit", "0")), 5)

    def test_a_list_is_chosen_by_node_state_study_instance_and_age(self):
        port = free_port()
        gateway = self.start(node("a", port), node("b", port), copy_to("all", "a", "b", when='{ StudyDescription = "*" }'))
        studies = [new_uid(), new_uid()]
        sent = [instance_of([(0x0020000D, "UI", study), (0x00081030, "LO", "x")]) for study in studies]
        self.send(gateway, *sent)
        self.until_queued(gateway, 4)
        for options, count in ((["--node", "a"], 2), (["--study", studies[0]], 2), (["--study", new_uid()], 0),
                               (["--instance", sent[1].uid], 2), (["--instance", new_uid()], 0),
                               (["--state", "failed,delivered"], 0), (["--state", "live"], 4), (["--older", "1h"], 0),
                               (["--node", "b", "--study", studies[1]], 1), (["--all"], 4)):
            with self.subTest(" ".join(options)):
                self.assertEqual(len(self.entries(gateway, *options)), count)
        wait_until(lambda: len(self.entries(gateway, "--older", "1s")) == 4, "they are a second old")

    def test_the_ledger_says_who_got_an_instance_when_and_with_what_status(self):
        a, b = self.sink(answer=0xB007), self.sink()
        gateway = self.start(node("a", a), node("b", b), copy_to("later", "a"), route("at once", to="b"))
        one = make_instance(1000)
        self.send(gateway, one)

        def rows():
            found = {row["node"]: row for row in self.of(gateway, one)}
            return found if {n: r["state"] for n, r in found.items()} == {"a": "delivered", "b": "relayed"} else None
        found = wait_until(rows, "both are known")
        self.assertEqual((found["a"]["status"], found["a"]["attempts"]), ("B007", 1))
        self.assertEqual((found["b"]["status"], found["b"]["route"]), ("0000", "at once"))
        self.assertRegex(found["b"]["changed"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        for row in found.values():
            shown = self.json(gateway, "show", row["id"])
            self.assertEqual([try_["status"] for try_ in shown["history"]], [row["status"]])
        self.assertEqual(self.entries(gateway), [])
        self.assertIn("the queue is empty", self.queue(gateway).stderr)

    def test_what_a_morph_renamed_is_found_by_both_names(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a", morph=Lua(
            "function (ds) ds.SOPInstanceUID = ds.SOPInstanceUID .. '.9' end")))
        uid = new_uid()[:60]
        one = instance_of([], uid=uid)
        self.send(gateway, one)
        row = self.until(gateway, one, "delivered")
        self.assertEqual(row["sent_instance"], uid + ".9")
        self.assertEqual(self.entries(gateway, "--instance", uid + ".9"), [row])
        self.assertIn(f"as {uid}.9", self.queue(gateway, "list", "--instance", uid).stdout)

    def test_show_tells_every_attempt(self):
        sink = self.sink(answer=0xA700)
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        one = make_instance(1000)
        self.send(gateway, one)
        wait_until(lambda: any(row["attempts"] >= 2 for row in self.of(gateway, one)), "two attempts")
        sink.answer = 0
        row = self.until(gateway, one, "delivered")
        shown = self.json(gateway, "show", row["id"])
        statuses = [try_["status"] for try_ in shown["history"]]
        self.assertEqual(statuses, ["A700"] * (row["attempts"] - 1) + ["0000"])
        words = self.queue(gateway, "show", row["id"]).stdout
        self.assertIn(f"entry {row['id']}\n  state            delivered\n", words)
        self.assertEqual(words.count("A700 refused: out of resources"), row["attempts"] - 1)


class Acting(Queue):
    def failed(self):
        """A gateway with an instance that its sink has refused for good: (gateway, sink, instance, row)."""
        sink = self.sink(answer=0xC001)
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        one = make_instance(1000)
        self.send(gateway, one)
        row = self.until(gateway, one, "failed")
        self.assertEqual((row["status"], row["attempts"]), ("C001", 2))
        sink.answer = 0
        return gateway, sink, one, row

    def test_what_failed_is_tried_again_beside_a_running_gateway(self):
        for choose in (lambda row: [row["id"]], lambda row: ["--node", "a", "--state", "failed"], lambda row: []):
            gateway, _, one, row = self.failed()
            done = self.json(gateway, "retry", *choose(row))
            self.assertEqual((done["retried"], done["entries"], done["failures"]), (1, [row["id"]], []))
            self.assertEqual(self.until(gateway, one, "delivered")["attempts"], 3)

    def test_what_failed_is_tried_again_after_a_stop(self):
        gateway, sink, one, row = self.failed()
        self.assertEqual(gateway.stop(), [])
        self.assertEqual(self.queue(gateway, "retry", row["id"]).stdout, "1 entry queued again\n")
        self.assertEqual(self.of(gateway, one)[0]["state"], "queued")
        gateway.start()
        wait_until(lambda: len(sink.messages) == 3, "it arrives")

    def test_what_waits_goes_to_another_node(self):
        b = self.sink()
        gateway, _, sent = self.away(node("b", b))
        self.until_queued(gateway, 3)
        self.assertIn("3 entries queued again for b", self.queue(gateway, "retry", "--node", "a", "--to", "b").stdout)
        wait_until(lambda: {m.uid for m in b.messages} == {one.uid for one in sent}, "they arrive at b")
        self.assertEqual({row["node"] for one in sent for row in self.of(gateway, one)}, {"b"})

    def test_a_node_that_has_gone_from_the_configuration_is_told_and_can_be_replaced(self):
        gateway, _, sent = self.away()
        self.assertEqual(gateway.stop(), [])
        b = self.sink()
        gateway.write(node("b", b), copy_to("all", "b"))
        gateway.start()
        a, = self.json(gateway)["nodes"]
        self.assertEqual((a["node"], a["is_configured"], a["queued"] + a["waiting"]), ("a", False, 3))
        self.assertIn("is not in the configuration", self.queue(gateway).stdout)
        self.queue(gateway, "retry", "--node", "a", "--to", "b")
        wait_until(lambda: {m.uid for m in b.messages} == {one.uid for one in sent}, "they arrive at b")

    def test_what_waits_for_a_node_that_has_gone_is_left_by_retry_which_says_so(self):
        gateway, port, sent = self.away()
        rows = self.until_queued(gateway, 3)
        gateway.stop()
        gateway.write(node("b", port), copy_to("all", "b"))
        gateway.start()
        more = make_instance(1000)
        self.send(gateway, more)
        self.until_queued(gateway, 4)
        gone, other = [row["id"] for row in rows], self.of(gateway, more)[0]["id"]
        for is_running in (True, False):
            with self.subTest(is_running=is_running):
                if not is_running:
                    self.assertEqual(gateway.stop(), [])
                done = self.queue(gateway, "retry", gone[0], status=1)
                self.assertEqual(done.stdout, "0 entries queued again, 1 left\n")
                self.assertIn(f"{gone[0]}: was left: its node a is not in the configuration, --to NODE", done.stderr)
                done = self.queue(gateway, "retry", *gone[:2], other, status=1)
                self.assertEqual(done.stdout, "1 entry queued again, 2 left\n")
                done = self.queue(gateway, "retry", "--all", status=1)
                self.assertEqual(done.stdout, "1 entry queued again, 3 left\n")
                self.assertIn("a: is not in the configuration: 3 entries were left as they are, --to NODE", done.stderr)
                answer = self.json(gateway, "retry", "--all", status=1)
                self.assertEqual((answer["entries"], [f["what"] for f in answer["failures"]]), ([other], ["a"]))
                self.assertIn("--to", self.queue(gateway, "retry", "--node", "a", status=1).stderr)
        self.assertEqual(self.queue(gateway, "retry", *gone, "--to", "b").stdout, "3 entries queued again for b\n")
        b = self.sink(port=port)
        gateway.start()
        wait_until(lambda: {m.uid for m in b.messages} == {one.uid for one in (*sent, more)}, "they arrive at b")

    def test_what_is_delivered_before_it_could_go_to_another_node_is_told(self):
        """The order waits for the answer that is on its way."""
        answers = threading.Event()
        self.addCleanup(answers.set)
        a, b = self.sink(at_answer=lambda m: answers.wait(30)), self.sink()
        gateway = self.start(node("a", a), node("b", b), copy_to("all", "a"))
        one = make_instance(1000)
        self.send(gateway, one)
        wait_until(lambda: a.messages, "it is on its way")
        row, = self.of(gateway, one)
        retry = subprocess.Popen([HILUM, "queue", gateway.config, "retry", row["id"], "--to", "b"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: self.orders(gateway) or retry.poll() is not None, "it is ordered")
        answers.set()
        said, words = retry.communicate(timeout=30)
        self.assertEqual((retry.returncode, said), (1, "0 entries queued again for b\n"), words)
        self.assertIn(f"{row['id']}: was delivered to a meanwhile", words)
        self.assertEqual(b.messages, [])

    def orders(self, gateway):
        """How many are left."""
        index = sqlite3.connect(f"file:{gateway.folder}/spool/index.db?mode=ro", uri=True)
        try:
            return index.execute("SELECT count(*) FROM orders").fetchone()[0]
        finally:
            index.close()

    def test_what_is_dropped_is_not_delivered(self):
        for is_running in (True, False):
            with self.subTest(is_running=is_running):
                gateway, port, sent = self.away()
                rows = self.until_queued(gateway, 3)
                if not is_running:
                    self.assertEqual(gateway.stop(), [])
                done = self.json(gateway, "drop", rows[1]["id"], "--yes")
                self.assertEqual((done["dropped"], done["entries"]), (1, [rows[1]["id"]]))
                self.assertEqual(self.of(gateway, sent[1])[0]["state"], "dropped")
                if not is_running:
                    gateway.start()
                sink = self.sink(port=port)
                wait_until(lambda: not self.entries(gateway), "the queue is empty")
                self.assertEqual({m.uid for m in sink.messages}, {sent[0].uid, sent[2].uid})

    def test_what_is_over_cannot_be_dropped_or_tried_again_and_the_others_are(self):
        gateway, _, _ = self.away()
        rows = self.until_queued(gateway, 3)
        ids = [row["id"] for row in rows]
        self.queue(gateway, "drop", ids[0], "--yes")
        done = hilum("queue", gateway.config, "drop", "--yes", "--json", ids[0], "9.99", ids[1])
        self.assertEqual(done.returncode, 1)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["entries"], [ids[1]])
        self.assertEqual([f["what"] for f in answer["failures"]], [ids[0], "9.99"])
        self.assertIn(f"{ids[0]}: was dropped", done.stderr)
        self.assertIn("9.99: there is no such entry", done.stderr)
        self.assertIn("was dropped", self.queue(gateway, "retry", ids[0], status=1).stderr)

    def test_drop_does_not_ask_where_nobody_answers(self):
        gateway, _, _ = self.away()
        self.until_queued(gateway, 3)
        self.assertIn("--yes", self.queue(gateway, "drop", "--all", status=1).stderr)
        self.assertEqual(len(self.entries(gateway)), 3)

    def test_drop_asks_on_a_terminal(self):
        gateway, _, _ = self.away()
        self.until_queued(gateway, 3)
        for answer, left in ((b"\n", 3), (b"n\n", 3), (b"y\n", 0)):
            ours, theirs = pty.openpty()
            done = subprocess.Popen([HILUM, "queue", gateway.config, "drop", "--node", "a"], stdin=theirs,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            os.write(ours, answer)
            _, words = done.communicate(timeout=30)
            os.close(ours)
            os.close(theirs)
            self.assertIn("Drop 3 entries", words)
            self.assertEqual(done.returncode, 1 if left else 0)
            self.assertEqual(len(self.entries(gateway)), left)

    def test_a_gateway_that_does_not_listen_is_told_of_and_does_it_later(self):
        gateway, _, _ = self.away(retry={"first": "1h", "most": "1h"})  # so that it rests
        rows = self.until_queued(gateway, 3)
        for _ in range(3):
            gateway.signal(signal.SIGSTOP)
            try:
                done = self.queue(gateway, "drop", rows[0]["id"], "--yes", status=1)
            finally:
                gateway.signal(signal.SIGCONT)
            if "database is locked" not in done.stderr:  # it stopped while it was writing
                break
        self.assertIn("1 order was not carried out within 10 s", done.stderr)
        wait_until(lambda: len(self.entries(gateway)) == 2, "it is dropped")


class Export(Queue):
    def exported(self, gateway, *arguments):
        out = os.path.join(self.temporary_folder(), "out")
        files = self.json(gateway, "export", *arguments, "--out", out)["files"]
        self.assertEqual(files_under(out), sorted(f["file"] for f in files))
        return {f["id"]: dicom.read_file(f["file"]) for f in files}

    def test_what_waits_is_written_as_it_was_received(self):
        gateway, _, sent = self.away()
        sent += [make_instance(5 << 20), make_instance(3000, transfer=DEFLATED), make_instance(1001)]
        self.send(gateway, *sent[3:])
        self.until_queued(gateway, 6)
        for is_running in (True, False):
            got = {one.uid: one for one in self.exported(gateway).values()}
            self.assertEqual(set(got), {one.uid for one in sent})
            for one in sent:
                self.assertTrue(same_data(one.data, got[one.uid].data), one.uid)
                self.assertEqual((one.sop_class, one.transfer), (got[one.uid].sop_class, got[one.uid].transfer))
            if is_running:
                self.assertEqual(gateway.stop(), [])

    def test_what_a_morph_changed_is_written_as_its_node_gets_it(self):
        morph = Lua('function (ds) ds.PatientID = "SITE7"; ds:remove_private(); ds.PatientComments = nil; '
                    'ds.SOPInstanceUID = uid.new() end')
        port = free_port()
        gateway = self.start(node("a", port), copy_to("all", "a", morph=morph))
        elements = [(0x00090010, "LO", "ACME"), (0x00091001, "UN", b"x" * 100), (0x00100020, "LO", "OLD"),
                    (0x7FE00010, "OW", os.urandom(300000)), (0x7FE10010, "LO", "ACME"), (0x7FE11001, "OB", b"x" * 90),
                    (0xFFFCFFFC, "OB", b"\0" * 200)]
        sent = [instance_of(elements, transfer=t) for t in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)]
        self.send(gateway, *sent)
        self.until_queued(gateway, 4)
        got = {one.uid: one for one in self.exported(gateway).values()}
        sink = self.sink(port=port)
        wait_until(lambda: len(sink.messages) == 4, "all arrive")
        self.assertEqual({one.transfer for one in got.values()}, {IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED})
        self.assertFalse({one.uid for one in sent} & set(got))
        for m in sink.messages:
            self.assertEqual(got[m.uid].data, m.data)
            self.assertEqual(got[m.uid].transfer, m.transfer)

    def test_a_file_is_what_a_folder_would_have(self):
        gateway, _, sent = self.away(folder("disk", "$FOLDER/disk/{SOPInstanceUID}.dcm"), count=1)
        row, = self.until_queued(gateway, 1)
        out = self.temporary_folder()
        self.queue(gateway, "export", row["id"], "--out", out)
        self.queue(gateway, "retry", row["id"], "--to", "disk")
        self.until(gateway, sent[0], "delivered")
        with open(os.path.join(out, row["id"] + ".dcm"), "rb") as ours, \
                open(os.path.join(gateway.folder, "disk", sent[0].uid + ".dcm"), "rb") as theirs:
            self.assertEqual(ours.read(), theirs.read())

    def test_a_file_that_is_there_is_left_alone(self):
        gateway, _, _ = self.away(count=2)
        rows = self.until_queued(gateway, 2)
        out = self.temporary_folder()
        there = os.path.join(out, rows[0]["id"] + ".dcm")
        with open(there, "w") as f:
            f.write("mine")
        done = hilum("queue", gateway.config, "export", "--out", out)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{there}: it is there already", done.stderr)
        with open(there) as f:
            self.assertEqual(f.read(), "mine")
        self.assertEqual(len(files_under(out)), 2)

    def test_damage_is_named_and_leaves_no_file(self):
        gateway, _, sent = self.away(count=2)
        rows = self.until_queued(gateway, 2)
        self.assertEqual(gateway.stop(), [])
        segment, = [f for f in files_under(os.path.join(gateway.folder, "spool")) if f.endswith("00000001.log")]
        with open(segment, "r+b") as f:
            at = f.read().index(sent[0].data)
            f.seek(at + 500)
            f.write(bytes(x ^ 1 for x in sent[0].data[500:510]))
        out = self.temporary_folder()
        done = hilum("queue", gateway.config, "export", "--out", out, "--json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("damaged", done.stderr)
        self.assertEqual([f["id"] for f in json.loads(done.stdout)["files"]], [rows[1]["id"]])
        self.assertEqual(files_under(out), [os.path.join(out, rows[1]["id"] + ".dcm")])


class Wrong(Queue):
    def test_wrong_usage_is_told_in_a_line(self):
        gateway, _, _ = self.away(count=1)
        for arguments, words in (
                (["look"], "look: what can be done is list, show"), (["show"], "show: takes one ID"),
                (["show", "x"], "x: an ID is two numbers"), (["list", "1.2"], "list: takes no ID"),
                (["drop"], "drop: which ones?"), (["drop", "--limit", "3"], "drop: which ones?"),
                (["retry", "1.2", "--node", "a"], "either IDs"), (["export"], "--out DIR is missing"),
                (["--state", "gone"], "gone: states are held, queued"), (["--older", "2"], "2: --older is a duration"),
                (["list", "--to", "a"], "--to: means nothing to list"), (["--limit", "-1"], "-1: --limit is a number"),
                (["drop", "--state", "delivered"], "drop: only what is held"), (["--out"], "--out: a value is missing"),
                (["--node", "c"], "neither the configuration nor the queue has such a node; the nodes are \"a\""),
                (["retry", "--to", "c"], "the configuration has no such node"), (["--nodes"], "--nodes: no such")):
            with self.subTest(" ".join(arguments)):
                done = self.queue(gateway, *arguments, status=2)
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stdout, "")
        self.assertEqual(hilum("queue").returncode, 2)

    def test_what_is_not_there_is_named(self):
        gateway, _, _ = self.away(count=1)
        self.until_queued(gateway, 1)
        self.assertIn("7.7: there is no such entry", self.queue(gateway, "show", "7.7", status=1).stderr)
        self.assertIn("7.7: there is no such entry", self.queue(gateway, "--after", "7.7", status=1).stderr)
        self.assertEqual(gateway.stop(), [])
        spool = os.path.join(gateway.folder, "spool")
        version = os.path.join(spool, "version")
        with open(version, "w") as f:
            f.write("hilum spool 99\n")
        done = self.queue(gateway, status=1)
        self.assertIn(spool, done.stderr)
        self.assertIn("newer Hilum: version 99", done.stderr)
        with open(version, "w") as f:
            f.write("something else")
        self.assertIn(f"{spool}: this is no folder of a queue", self.queue(gateway, status=1).stderr)
        os.rename(spool, spool + ".away")
        self.assertIn(f"{spool}: there is no queue", self.queue(gateway, status=1).stderr)
        self.assertFalse(os.path.exists(spool))
        gateway.settings["spool"] = False
        gateway.write(node("a", free_port()), route("all", to="a"))
        self.assertIn("gateway.spool is false", self.queue(gateway, status=1).stderr)
        with open(gateway.config, "a") as f:
            f.write("nod {}\n")
        self.assertIn("hilum.lua:", self.queue(gateway, status=1).stderr)
        os.rename(spool + ".away", spool)

    def test_a_result_that_cannot_be_written_is_a_failure(self):
        gateway, _, _ = self.away(count=1)
        self.until_queued(gateway, 1)
        with open("/dev/full", "w") as full:
            for options in ([], ["--json"], ["show", "1.2"]):
                done = subprocess.run([HILUM, "queue", gateway.config, *options], stdin=subprocess.DEVNULL, stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=30)
                self.assertEqual(done.returncode, 1, options)
                self.assertIn("cannot be written", done.stderr)
