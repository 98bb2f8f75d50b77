"""What the durable queue promises: the sender's success is true, whatever becomes of destinations and of the gateway."""

import json
import os
import signal
import time

import dicom
from dicom import CT, EXPLICIT, IMPLICIT, MR, make_instance
from harness import (SANITIZED, SLOW, Case, Lua, files_under, folder, free_port, hilum, node, route, same_data,
                     storescp, wait_until)
from test_bench_tools import Running

QUICK = {"first": "100ms", "most": "400ms"}
BIG = 5 << 20


def copy_to(name, *nodes, **keys):
    return f'route "{name}" {{ copy = {{ {", ".join(f"{n!r}" for n in nodes)} }}' + "".join(
        f", {key} = {value}" for key, value in keys.items()) + " }"


def uids(sink):
    return [m.uid for m in sink.messages]


class Queued(Case):
    def start(self, *declarations, **settings):
        return self.gateway(*declarations, retry=QUICK, **settings)

    def arrived(self, sink, instances, seconds=20):
        """All of them, bit by bit, once at least."""
        wanted = {i.uid: i for i in instances}
        wait_until(lambda: set(uids(sink)) >= set(wanted), f"{len(wanted)} instances at their destination", seconds)
        for m in sink.messages:
            self.assertTrue(same_data(wanted[m.uid].data, m.data), f"{m.uid} is not what was sent")


class Copy(Queued):
    def test_a_copy_is_delivered(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        sent = [make_instance(size) for size in (1, 1000, 70000, 600000, BIG)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        self.arrived(sink, sent)
        self.assertEqual(len(sink.messages), len(sent))

    def test_a_copy_waits_for_its_node(self):
        port = free_port()
        gateway = self.start(node("a", port), copy_to("all", "a"))
        sent = [make_instance(5000) for _ in range(20)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        self.arrived(self.sink(port=port), sent)

    def test_to_and_copy_get_the_same(self):
        a, b = self.sink(), self.sink()
        gateway = self.start(node("a", a), node("b", b), route("both", to="a", copy=["b"]))
        sent = [make_instance(size) for size in (1000, 300000)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        self.assertEqual(uids(a), [one.uid for one in sent])
        self.arrived(b, sent)

    def test_what_a_to_refuses_is_not_copied(self):
        a, b = self.sink(answer=0xC001), self.sink()
        gateway = self.start(node("a", a), node("b", b), route("both", to="a", copy=["b"], on_failure="queue"))
        sender = self.sender(gateway)
        self.assertEqual(sender.store(make_instance(1000)).status, 0xC001)
        a.answer = 0
        one = make_instance(1000)
        self.assert_stored(sender.store(one))
        wait_until(lambda: b.messages, "the second instance")
        self.assertEqual(uids(b), [one.uid])

    def test_a_sender_lost_before_the_end_leaves_nothing(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        half = make_instance(BIG)
        sender = self.sender(gateway)
        context = sender.begin(half)
        sender.data(context, half.data[:3 << 20])
        wait_until(lambda: gateway.events("message begun") or True)
        sender.reset()
        wait_until(lambda: gateway.events("message abandoned by its sender"), "the loss is seen")
        other = make_instance(1000)
        self.assert_stored(self.sender(gateway).store(other))
        self.arrived(sink, [other])
        self.assertEqual(uids(sink), [other.uid])

    def test_a_morph_runs_once_and_each_route_has_its_own(self):
        port = free_port()
        morph = Lua('function (ds) ds.PatientID = "SITE7-" .. (ds.PatientID or "") end')
        gateway = self.start(node("a", port), node("b", port), copy_to("plain", "a"),
                             copy_to("morphed", "b", morph=morph))
        one = make_instance(100000)
        self.assert_stored(self.sender(gateway).store(one))
        gateway.kill()  # delivery needs no rule
        with open(gateway.config) as f:
            config = f.read()
        with open(gateway.config, "w") as f:
            f.write(config.replace("SITE7-", "OTHER-"))
        gateway.start()
        sink = self.sink(port=port)
        wait_until(lambda: len(sink.messages) >= 2, "both copies")
        morphed = [m.data for m in sink.messages if b"SITE7-HILUM-1" in m.data]
        plain = [m.data for m in sink.messages if b"SITE7-" not in m.data]
        self.assertEqual((len(plain), len(morphed)), (1, 1))
        self.assertTrue(same_data(one.data, plain[0]))
        self.assertEqual(morphed[0][-50000:], one.data[-50000:])

    def test_what_a_morph_drops_behind_pixel_data_is_dropped_in_the_queue_too(self):
        secret = dicom.element(0x10, 0x10, b"SECRET", b"PN")  # out of order, as broken writers have it
        one = make_instance(70000)
        one.data += secret
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a", morph=Lua("function (ds) ds.PatientName = nil end")))
        self.assert_stored(self.sender(gateway).store(one))
        wait_until(lambda: sink.messages, "it")
        self.assertEqual(sink.messages[0].data, one.data.removesuffix(secret))

    def test_folders_are_delivered_to_by_attributes(self):
        gateway = self.start(folder("disk", "$FOLDER/out/{PatientID}/{SOPInstanceUID}.dcm"), copy_to("all", "disk"))
        sent = [make_instance(size) for size in (1000, 300000)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        out = os.path.join(gateway.folder, "out")
        wait_until(lambda: len([f for f in files_under(out) if f.endswith(".dcm")]) == 2, "both files")
        got = {i.uid: i for i in map(dicom.read_file, files_under(out))}
        for one in sent:
            self.assertTrue(same_data(one.data, got[one.uid].data))


class TakenOver(Queued):
    def queueing(self, *peers, **keys):
        names = [chr(ord("a") + i) for i in range(len(peers))]
        settings = {k: keys.pop(k) for k in ("replay_max", "journal", "timeouts") if k in keys}
        return self.start(*(node(n, p) for n, p in zip(names, peers)),
                          route("all", to=names, **{"on_failure": "queue", **keys}), **settings)

    def test_a_node_that_is_away_is_queued_for(self):
        port = free_port()
        gateway = self.queueing(port)
        sent = [make_instance(size) for size in (1000, 70000, 600000, BIG)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        self.arrived(self.sink(port=port), sent)

    def test_a_node_that_dies_in_mid_instance_is_replaced_without_the_sender_noticing(self):
        for how in ("abort", "close", "reset"):
            for size, at in ((100000, 70000), (600000, 300000), (BIG, 4 << 20)):
                with self.subTest(f"{how} at {at} of {size}"):
                    sink = self.sink(at_bytes=(at, how))
                    gateway = self.queueing(sink)
                    one = make_instance(size)
                    self.assert_stored(self.sender(gateway).store(one))
                    sink.at_bytes = None
                    self.arrived(sink, [one])

    def test_what_may_pass_is_queued_and_what_will_not_goes_to_the_sender(self):
        sink = self.sink()
        gateway = self.queueing(sink)
        sender = self.sender(gateway)
        for status, is_queued in ((0xA700, True), (0xA701, True), (0xA900, False), (0xC001, False), (0x0122, False),
                                  (0x0124, False), (0xB000, None), (0x0111, None)):
            with self.subTest(f"{status:04X}"):
                sink.answer = status
                one = make_instance(1000)
                answer = sender.store(one)
                sink.answer = 0
                if is_queued:
                    self.assert_stored(answer)
                    wait_until(lambda: uids(sink).count(one.uid) >= 2, "it is sent again")
                elif is_queued is None:
                    self.assertIn(answer.status, (0, status))
                else:
                    self.assertEqual(answer.status, status)

    def test_a_rejection_is_queued(self):
        sink = self.sink(reject=(1, 1, 7))
        gateway = self.queueing(sink)
        one = make_instance(1000)
        self.assert_stored(self.sender(gateway).store(one))
        sink.reject = None
        self.arrived(sink, [one])

    def test_of_two_nodes_one_that_is_away_does_not_hold_up_the_other(self):
        port = free_port()
        b = self.sink()
        gateway = self.queueing(port, b)
        sent = [make_instance(200000) for _ in range(10)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        self.assertEqual(uids(b), [one.uid for one in sent])
        self.arrived(self.sink(port=port), sent)

    def test_without_a_journal_what_is_past_replay_max_is_the_senders_failure(self):
        sink = self.sink(at_bytes=(3 << 20, "reset"))
        gateway = self.queueing(sink, journal=False)
        sender = self.sender(gateway)
        self.assertEqual(sender.store(make_instance(BIG)).status & 0xFF00, 0xA700)
        sink.at_bytes = (100000, "reset")
        one = make_instance(600000)
        self.assert_stored(sender.store(one))
        sink.at_bytes = None
        wait_until(lambda: one.uid in uids(sink), "what was held")

    def test_a_node_known_to_be_away_costs_no_connect_an_instance(self):
        port = free_port()
        gateway = self.queueing(port)
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance(1000)))
        connects = len(gateway.events("connecting")) or gateway.log().count("Connection refused")
        for _ in range(50):
            self.assert_stored(sender.store(make_instance(1000)))
        self.assertLess(gateway.log().count("Connection refused") - connects, 30)

    def test_any_transfer_syntax_is_taken_for_a_node_that_was_never_seen(self):
        port = free_port()
        gateway = self.queueing(port)
        jpeg = "1.2.840.10008.1.2.4.70"
        one = make_instance(1000, transfer=jpeg)
        self.assert_stored(self.sender(gateway, [(CT, [jpeg])]).store(one))
        self.arrived(self.sink(port=port), [one])


class Delivery(Queued):
    def test_what_is_refused_for_good_gets_one_more_try_and_holds_up_nobody(self):
        bad = make_instance(1000)
        sink = self.sink(answer=lambda m: 0xC001 if m.uid == bad.uid else 0)
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        sender = self.sender(gateway)
        good = [make_instance(1000) for _ in range(10)]
        for one in [bad, *good]:
            self.assert_stored(sender.store(one))
        wait_until(lambda: set(uids(sink)) >= {i.uid for i in good}, "the good ones")
        wait_until(lambda: gateway.events("refused for good, kept for an operator"), "the end of the bad one")
        self.assertEqual(uids(sink).count(bad.uid), 2)

    def test_what_kills_its_node_holds_up_nobody(self):
        bad = make_instance(100000)
        sink = self.sink(at_answer=lambda m: "reset" if m.uid == bad.uid else None)
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        sender = self.sender(gateway)
        good = [make_instance(1000) for _ in range(10)]
        for one in [bad, *good]:
            self.assert_stored(sender.store(one))
        wait_until(lambda: set(uids(sink)) >= {i.uid for i in good}, "the good ones")
        sink.at_answer = None
        wait_until(lambda: uids(sink).count(bad.uid) >= 2, "and that one")

    def turned_away(self, turn_away, bad, good, **keys):
        """What its node turns away, the oldest of all, holds up nobody, and goes when the node has thought better of it."""
        sink = self.sink(turn_away=turn_away)
        gateway = self.start(node("a", sink, calling="pass"), f'route "all" {{ {keys.get("how", "copy")} = {{ "a" }} }}')
        for calling, instances in bad, good:
            sender = self.sender(gateway, ((CT, [EXPLICIT]), (MR, [EXPLICIT])), calling=calling)
            for one in instances:
                self.assert_stored(sender.store(one))
        wait_until(lambda: set(uids(sink)) == {i.uid for i in good[1]}, "the good ones")
        self.assertLess(len(gateway.events("delivery to a node waits")), 2)
        for entry in json.loads(hilum("queue", gateway.config, "list", "--json", cwd=gateway.folder).stdout)["entries"]:
            self.assertEqual(entry["status"], "A700")
            self.assertIn("a: ", entry["comment"])
        sink.turn_away = None
        self.arrived(sink, bad[1] + good[1])

    def test_a_title_that_its_node_rejects_holds_up_no_other(self):
        for how in "copy", "to":
            self.turned_away(lambda request: (1, 1, 3) if dicom.text(request.calling).strip() == "BAD" else None,
                             ("BAD", [make_instance(1000) for _ in range(6)]), ("GOOD", [make_instance(1000) for _ in range(6)]), how=how)

    def test_a_class_that_its_node_hangs_up_on_holds_up_no_other(self):
        self.turned_away(lambda request: "close" if any(c.abstract == MR for c in request.contexts) else None,
                         ("ONE", [make_instance(1000, sop_class=MR) for _ in range(6)]), ("ONE", [make_instance(1000) for _ in range(6)]))

    def test_a_node_for_one_association_at_a_time_gets_what_is_mixed(self):
        """DCMTK's storescp, as it is started by most: a second caller waits until the first has gone."""
        scp = self.peer(storescp)
        gateway = self.start(node("a", scp.port, ae_title="STORESCP"), copy_to("all", "a"))
        sender = self.sender(gateway, ((CT, [EXPLICIT]), (MR, [EXPLICIT])))
        started = time.monotonic()
        for number in range(40):
            self.assert_stored(sender.store(make_instance(20000, sop_class=MR if number % 2 else CT)))
        wait_until(lambda: len(os.listdir(scp.received)) == 40, "all of them", 8)  # linger is 10 s
        self.assertLess(time.monotonic() - started, 9 * SLOW)

    def test_a_piece_of_the_spool_that_cannot_be_read_holds_up_no_other(self):
        port = free_port()
        gateway = self.start(node("a", port), copy_to("all", "a"), spool={"path": "$FOLDER/spool", "max_bytes": "32MiB"})
        sent = [make_instance(500_000) for _ in range(12)]  # over several segments
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        segments = sorted(path for path in files_under(gateway.folder + "/spool") if path.endswith(".log"))
        self.assertGreater(len(segments), 2)
        os.rename(segments[0], segments[0] + ".away")
        os.mkdir(segments[0])  # reading it fails, as a broken disk would
        sink = self.sink(port=port)
        wait_until(lambda: len(set(uids(sink))) >= 6, "what stands elsewhere")
        self.assert_stored(sender.store(sent[0]))
        os.rmdir(segments[0])
        os.rename(segments[0] + ".away", segments[0])
        self.arrived(sink, sent)

    def test_a_full_archive_gets_it_later(self):
        sink = self.sink(answer=0xA700)
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        one = make_instance(1000)
        self.assert_stored(self.sender(gateway).store(one))
        wait_until(lambda: len(sink.messages) >= 3, "some tries")
        sink.answer = 0
        seen = len(sink.messages)
        wait_until(lambda: len(sink.messages) > seen, "one more")

    def test_the_instances_of_a_study_go_on_associations_that_are_used_again(self):
        port = free_port()
        gateway = self.start(node("a", port), copy_to("all", "a"))
        sent = [make_instance(1000) for _ in range(40)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        sink = self.sink(port=port)
        self.arrived(sink, sent)
        self.assertLess(len(sink.associations), 10)

    def test_what_waits_longer_than_expire_is_given_up(self):
        port = free_port()
        gateway = self.start(node("a", port, expire="500ms"), copy_to("all", "a"))
        old = make_instance(1000)
        self.assert_stored(self.sender(gateway).store(old))
        wait_until(lambda: gateway.events("queued for too long, given up"), "the end of it")
        new = make_instance(1000)
        sink = self.sink(port=port)
        self.assert_stored(self.sender(gateway).store(new))
        self.arrived(sink, [new])  # and nothing else
        listed = hilum("queue", gateway.config, "list", "--instance", old.uid, "--json")
        self.assertEqual([e["state"] for e in json.loads(listed.stdout)["entries"]], ["expired"])

    def test_a_folder_that_cannot_be_written_is_tried_again(self):
        gateway = self.start(folder("disk", "$FOLDER/out/{calling}/{SOPInstanceUID}.dcm"), copy_to("all", "disk"))
        out = os.path.join(gateway.folder, "out", "SENDER")
        with open(out, "w"):
            pass  # a file where the folder should be
        one = make_instance(1000)
        self.assert_stored(self.sender(gateway).store(one))
        wait_until(lambda: gateway.events("delivery to a node waits"), "the first try")
        os.unlink(out)
        path = os.path.join(out, one.uid + ".dcm")
        wait_until(lambda: os.path.exists(path), "the file")
        self.assertTrue(same_data(one.data, dicom.read_file(path).data))

    def test_an_empty_data_set_is_no_special_case(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        sender = self.sender(gateway)
        one = make_instance(1000)
        empty = dicom.Instance(one.sop_class, one.uid, one.transfer, b"")
        self.assert_stored(sender.store(empty))
        wait_until(lambda: sink.messages, "it")
        self.assertEqual(sink.messages[0].data, b"")

    def test_a_reload_delivers_to_where_the_node_is_now(self):
        gateway = self.start(node("a", free_port()), copy_to("all", "a"))
        one = make_instance(1000)
        self.assert_stored(self.sender(gateway).store(one))
        sink = self.sink()
        gateway.write(node("a", sink), copy_to("all", "a"))
        gateway.signal(signal.SIGHUP)
        self.arrived(sink, [one])


class Load(Queued):
    def running(self, name, *arguments):
        program = Running(name, *arguments)
        self.addCleanup(program.close)
        return program

    def waiting(self, gateway):
        """Entries for any node that are not delivered."""
        listed = hilum("queue", gateway.config, "list", "--limit", 1, "--json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        return len(json.loads(listed.stdout)["entries"])

    def test_a_node_that_is_away_for_a_whole_load_costs_no_memory_and_gets_all_of_it(self):
        count = 20000 // max(1, round(SLOW))
        there, port = self.running("sink", "--port", 0), free_port()
        gateway = self.start(node("there", there.line()["port"]), node("away", port),
                             route("all", to=["there", "away"], on_failure="queue"), log={"level": "warn", "format": "json"})
        self.assertEqual(self.load(gateway, 500)["failures"], 0)
        before = gateway.memory("VmRSS")
        result = self.load(gateway, count)
        self.assertEqual((result["failures"], result["statuses"]), (0, {"0000": count}))
        if not SANITIZED:
            self.assertLess(gateway.memory() - before, 48 << 20)
        self.assertEqual(there.snapshot()["instances"], count + 500)
        away = self.running("sink", "--port", port)
        away.line()
        wait_until(lambda: self.waiting(gateway) == 0, "the queue is empty", 60)
        self.assertGreaterEqual(away.end()["instances"], count + 500)

    def load(self, gateway, count):
        return self.running("load", f"127.0.0.1:{gateway.port}", "--size", "16KiB", "--count", count,
                            "--associations", 8).line()


class Crash(Queued):
    def test_what_was_acknowledged_survives_kill_9(self):
        port = free_port()
        gateway = self.start(node("a", port), copy_to("all", "a"))
        sent = [make_instance(size) for size in (1, 5000, 600000, BIG)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        gateway.kill()
        gateway.start()
        self.arrived(self.sink(port=port), sent)

    def test_what_was_delivered_is_not_sent_again_after_a_restart(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a"))
        sent = [make_instance(1000) for _ in range(5)]
        sender = self.sender(gateway)
        for one in sent:
            self.assert_stored(sender.store(one))
        self.arrived(sink, sent)
        self.assertEqual(gateway.stop(), [])
        gateway.start()
        last = make_instance(1000)
        self.assert_stored(self.sender(gateway).store(last))
        wait_until(lambda: last.uid in uids(sink), "the one after the restart")
        self.assertEqual(len(sink.messages), 6)

    def test_a_full_queue_refuses_and_recovers(self):
        port = free_port()
        gateway = self.start(node("a", port), copy_to("all", "a"),
                             spool={"path": "$FOLDER/spool", "max_bytes": "4MiB", "reserve": "1MiB"})
        sender = self.sender(gateway)
        taken = []
        for _ in range(10):
            one = make_instance(1 << 20)
            answer = sender.store(one)
            if answer.status:
                self.assertEqual(answer.status & 0xFF00, 0xA700)
                self.assertIn("full", answer.comment)
                break
            taken.append(one)
        else:
            self.fail("it took more than max_bytes")
        self.assertGreaterEqual(len(taken), 2)
        self.arrived(self.sink(port=port), taken)

        def taken_again():
            return sender.store(make_instance(1 << 20)).status == 0
        wait_until(taken_again, "room again", 30)

    def test_a_spool_of_a_newer_version_is_refused_and_left_alone(self):
        gateway = self.start(node("a", free_port()), copy_to("all", "a"))
        self.assertEqual(gateway.stop(), [])
        version = os.path.join(gateway.folder, "spool", "version")
        with open(version, "w") as f:
            f.write("hilum spool 99\n")
        before = files_under(os.path.join(gateway.folder, "spool"))
        with self.assertRaises(AssertionError) as refused:
            gateway.start()
        self.assertIn("version", str(refused.exception))
        self.assertEqual(files_under(os.path.join(gateway.folder, "spool")), before)
        with open(version, "w") as f:
            f.write("hilum spool 1\n")
        gateway.start()
