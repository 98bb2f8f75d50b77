"""Study groups: what `copy` holds until a study or series has been quiet goes as a whole, and on_study may add destinations."""

import copy
import datetime
import json
import signal
import time

from dicom import CT, EXPLICIT, IMPLICIT, MR, instance_of, make_instance, new_uid
from harness import Case, Lua, free_port, hilum, node, wait_until
from test_queue import QUICK, copy_to, uids

SR = "1.2.840.10008.5.1.4.1.1.88.22"
PAIRS = [(c, [t]) for c in (CT, MR, SR) for t in (EXPLICIT, IMPLICIT)]


def of(study, series="", sop_class=CT, size=1000, patient="PAT-7", uid=None):
    """An instance of a study; `series` tells series of it apart."""
    return instance_of([(0x00100020, "LO", patient), (0x0020000D, "UI", study), (0x0020000E, "UI", f"{study}.9{series}"),
                        (0x7FE00010, "OW", bytes(size))], sop_class=sop_class, uid=uid)


def study_of(count, *more, **keys):
    study = new_uid()
    return [of(study, **keys) for _ in range(count)] + [of(study, **{**keys, **one}) for one in more]


class Held(Case):
    def start(self, *declarations, **settings):
        return self.gateway(*declarations, retry=QUICK, **settings)

    def send(self, gateway, *instances, **keys):
        with self.sender(gateway, PAIRS, **keys) as sender:
            for one in instances:
                self.assert_stored(sender.store(one))

    def entries(self, gateway, *arguments):
        done = hilum("queue", gateway.config, "list", "--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["entries"]

    def until(self, sink, instances, seconds=20):
        wanted = {i.uid for i in instances}
        wait_until(lambda: set(uids(sink)) >= wanted, f"{len(wanted)} instances at their destination", seconds)

    def until_held(self, gateway, count):
        def held():
            rows = self.entries(gateway)
            return len(rows) == count and all(r["state"] == "held" for r in rows) and rows
        return wait_until(held, f"{count} held entries")

    def assert_in_one_association(self, sink, instances):
        wanted = {i.uid for i in instances}
        users = [a for a in sink.associations if wanted & {m.uid for m in a.messages}]
        self.assertEqual(len(users), 1, [uids(a) for a in users])
        self.assertEqual({m.uid for m in users[0].messages}, wanted, "nothing else goes with them")
        self.assertEqual(len(users[0].messages), len(wanted))


def hold(quiet="1s", **more):
    return Lua("{ quiet = " + json.dumps(quiet) + "".join(f", {k} = {json.dumps(v)}" for k, v in more.items()) + " }")


class Groups(Held):
    def test_a_study_waits_until_it_is_quiet_and_goes_in_one_association(self):
        sink = self.sink()
        gateway = self.start(node("a", sink, deliveries=4), copy_to("all", "a", hold=hold()))
        sent = study_of(12, {"sop_class": SR, "series": ".2"}, {"sop_class": MR, "series": ".3"})
        began = time.monotonic()
        self.send(gateway, *sent)
        self.until_held(gateway, len(sent))
        self.assertEqual(sink.messages, [])
        self.until(sink, sent)
        self.assertGreaterEqual(time.monotonic() - began, 1)
        self.assert_in_one_association(sink, sent)

    def test_each_instance_puts_the_time_off(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a", hold=hold("1500ms")))
        study = study_of(6)
        with self.sender(gateway, PAIRS) as sender:
            for one in study:
                last = time.monotonic()  # its quiet time counts from before its answer
                self.assert_stored(sender.store(one))
                time.sleep(0.5)
                self.assertEqual(sink.messages, [])
        self.until(sink, study)
        self.assertGreaterEqual(time.monotonic() - last, 1.5)
        self.assert_in_one_association(sink, study)

    def test_studies_that_are_quiet_together_go_side_by_side_each_in_its_own_association(self):
        port = free_port()
        gateway = self.start(node("a", port, deliveries=4), copy_to("all", "a", hold=hold()))
        studies = [study_of(20) for _ in range(5)]
        with self.sender(gateway, PAIRS) as sender:
            for round_ in zip(*studies):
                for one in round_:
                    self.assert_stored(sender.store(one))
        sink = self.sink(port=port, delay=0.01)
        self.until(sink, [one for study in studies for one in study], 60)
        for study in studies:
            self.assert_in_one_association(sink, study)
        self.assertGreaterEqual(sink.most_open, 3)

    def test_a_large_group_holds_up_nobody(self):
        sink = self.sink(answer=lambda m: time.sleep(0.05) or 0)
        gateway = self.start(node("a", sink, deliveries=2), copy_to("held", "a", hold=hold("500ms"), when='{ calling = "SLOW" }'),
                             copy_to("rest", "a"))
        group, others = study_of(60), study_of(4)
        self.send(gateway, *group, calling="SLOW")
        wait_until(lambda: sink.messages, "the group begins")
        self.send(gateway, *others)
        self.until(sink, others)
        self.assertLess(len(set(uids(sink)) & {i.uid for i in group}), 50)
        self.until(sink, group)
        self.assert_in_one_association(sink, group)

    def test_series_go_one_by_one(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a", hold=hold("1s", by="series")))
        study = new_uid()
        first = [of(study, ".1") for _ in range(5)]
        second = []
        self.send(gateway, *first)
        self.until_held(gateway, 5)
        with self.sender(gateway, PAIRS) as sender:
            while not sink.messages:  # the second one grows while the first one is quiet
                one = of(study, ".2")
                second.append(one)
                self.assert_stored(sender.store(one))
                time.sleep(0.1)
        self.until(sink, first)
        self.assertFalse(set(uids(sink)) & {i.uid for i in second})
        self.assert_in_one_association(sink, first)
        self.until(sink, second)
        self.assert_in_one_association(sink, second)

    def test_instances_without_a_study_wait_alone(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a", hold=hold("300ms")))
        sent = [make_instance(100) for _ in range(3)]
        self.send(gateway, *sent)
        self.until(sink, sent)

    def test_what_is_held_survives_kill_9_and_a_reload_and_a_stop(self):
        for how in ("kill", "reload", "stop"):
            with self.subTest(how):
                sink = self.sink()
                gateway = self.start(node("a", sink), copy_to("all", "a", hold=hold("2s")))
                sent = study_of(10)
                self.send(gateway, *sent)
                if how == "kill":
                    gateway.kill()
                    gateway.start()
                elif how == "stop":
                    self.assertEqual(gateway.stop(), [])
                    gateway.start()
                else:
                    gateway.signal(signal.SIGHUP)
                    wait_until(lambda: gateway.events("reloaded") or "reload" in gateway.log(), "the reload")
                self.assertEqual(sink.messages, [])
                self.until(sink, sent)
                self.assert_in_one_association(sink, sent)

    def test_the_list_shows_what_is_held_and_until_when_and_retry_lets_it_go(self):
        sink = self.sink()
        gateway = self.start(node("a", sink), copy_to("all", "a", hold=hold("1h")))
        sent = study_of(3)
        self.send(gateway, *sent)
        rows = self.until_held(gateway, 3)
        for row in rows:
            due = datetime.datetime.fromisoformat(row["due"].replace("Z", "+00:00")).timestamp()
            self.assertAlmostEqual(due, time.time() + 3600, delta=60)
        self.assertRegex(hilum("queue", gateway.config, "list").stdout, r"held.*due in (1h|59m|60m)")
        done = hilum("queue", gateway.config, "retry", rows[1]["id"])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        wait_until(lambda: sink.messages, "the one that was let go")
        self.assertEqual(uids(sink), [rows[1]["sop_instance"]])
        self.assertEqual({row["state"] for row in self.entries(gateway)}, {"held"})


class Hook(Held):
    def hooked(self, body, *, a=None, b=None, quiet="500ms", more="", **keys):
        """A gateway whose copies for "a" are held; (gateway, sink of a, sink of b)."""
        a, b = a or self.sink(), b or self.sink()
        gateway = self.start(node("a", a), node("b", b),
                             copy_to("all", "a", hold=hold(quiet), on_study=f"function (study)\n{body}\nend") + more, **keys)
        return gateway, a, b

    def test_a_node_is_added_by_the_size_of_the_study(self):
        gateway, a, b = self.hooked('if study.count > 5 then return "b" end')
        small, large = study_of(5), study_of(6)
        self.send(gateway, *small, *large)
        self.until(b, large)
        self.until(a, small + large)
        self.assert_in_one_association(b, large)
        self.assertEqual(len(b.messages), 6)
        for one in large:
            self.assertEqual([m.data for m in b.messages if m.uid == one.uid], [one.data])

    def test_a_node_is_added_by_what_is_in_the_study(self):
        gateway, a, b = self.hooked("""
            for _, one in ipairs(study.instances) do
              if one.sop_class == "%s" then return { "b", "a" } end
            end""" % SR)
        plain, report = study_of(4), study_of(4, {"sop_class": SR})
        self.send(gateway, *plain, *report)
        self.until(a, plain + report)
        self.until(b, report)
        self.assertEqual(len(b.messages), 5)
        self.assertEqual(len(a.messages), 9, "a node that has it already gets nothing twice")

    def test_a_hook_is_told_what_the_study_is(self):
        gateway, a, _ = self.hooked("""
            print(study.uid, study.count, study.bytes, study.patient, study.calling, study.called, study.route, #study.since)
            for _, s in ipairs(study.series) do print("series", s.uid, s.count) end
            print("instances", #study.instances, study.instances[1].series, study.instances[1].sop_instance)
            for k in pairs(study) do print("key", k) end""")
        study = study_of(3, {"series": ".2"}, {"series": ".2"})
        self.send(gateway, *study)
        self.until(a, study)
        printed = [e["text"] for e in gateway.events("a rule prints")]
        uid = new_uid()  # of this form
        self.assertEqual(len(printed), 14, printed)
        uid = printed[0].split("\t")[0]
        self.assertEqual(printed[0].split("\t"), [uid, "5", str(sum(len(i.data) for i in study)), "PAT-7", "SENDER", "HILUM",
                                                  "all", "14"])
        self.assertEqual(printed[1:4], [f"series\t{uid}.9\t3", f"series\t{uid}.9.2\t2",
                                        f"instances\t5\t{uid}.9\t{study[0].uid}"])

    def test_it_runs_once_for_several_nodes(self):
        a, b, c = self.sink(), self.sink(), self.sink()
        gateway = self.start(node("a", a), node("b", b), node("c", c),
                             copy_to("all", "a", "b", hold=hold("500ms"),
                                     on_study='function (study) print("called", study.count) return "c" end'))
        study = study_of(7)
        self.send(gateway, *study)
        for sink in (a, b, c):
            self.until(sink, study)
            self.assert_in_one_association(sink, study)
        self.assertEqual([e["text"] for e in gateway.events("a rule prints")], ["called\t7"])

    def test_what_is_added_is_what_the_morph_made(self):
        gateway, a, b = self.hooked('return "b"', more="")
        self.assertEqual(gateway.stop(), [])
        a, b = self.sink(), self.sink()
        gateway = self.start(node("a", a), node("b", b),
                             copy_to("all", "a", hold=hold("500ms"), morph='function (ds) ds.PatientID = "SITE7" end',
                                     on_study='function () return "b" end'))
        study = study_of(3, size=100000)
        self.send(gateway, *study)
        self.until(b, study)
        self.until(a, study)
        for one in study:
            of_a, = [m.data for m in a.messages if m.uid == one.uid]
            of_b, = [m.data for m in b.messages if m.uid == one.uid]
            self.assertEqual(of_a, of_b)
            self.assertIn(b"SITE7", of_b)

    def test_a_hook_that_fails_adds_nothing_and_holds_up_nothing(self):
        for body, why in (('return "nowhere"', "'nowhere', and there is no such node"),
                          ('return { "b", "nowhere" }', "'nowhere'"),
                          ("return 7", "a number"),
                          ("return { b = true }", "no list"),
                          ('error("so it is")', "so it is"),
                          ("return study.cout", "did you mean 'count'"),
                          ("study.count = 3", "study is read-only"),
                          ("study.series[1].uid = 3", "is read-only"),
                          ("while true do end", "instructions")):
            with self.subTest(body):
                gateway, a, b = self.hooked(body, quiet="200ms")
                study = study_of(2)
                self.send(gateway, *study)
                self.until(a, study)
                failed, = gateway.events("on_study failed, its group goes without additions")
                self.assertIn(why, failed["cause"])
                self.assertRegex(failed["cause"], r"hilum\.lua:\d+: route \"all\": on_study")
                self.assertEqual(failed["route"], "all")
                self.assertEqual(b.messages, [])
                self.assertEqual(gateway.stop(), [])

    def test_it_runs_by_the_newest_configuration(self):
        a, b = self.sink(), self.sink()
        for after, is_added in (('function () return "b" end', True), (None, False), ("gone", False)):
            with self.subTest(after):
                before = len(b.messages)
                gateway = self.start(node("a", a), node("b", b), copy_to("all", "a", hold=hold("1500ms"),
                                                                         on_study="function () error('old') end"))
                study = study_of(3)
                self.send(gateway, *study)
                keys = {"hold": hold("1500ms"), "on_study": after} if after not in (None, "gone") else {}
                gateway.write(node("a", a), node("b", b), copy_to("other" if after == "gone" else "all", "a", **keys))
                gateway.signal(signal.SIGHUP)
                self.until(a, study)
                if is_added:
                    self.until(b, study)
                self.assertEqual(len(b.messages) - before, 3 if is_added else 0)
                self.assertEqual(gateway.events("on_study failed, its group goes without additions"), [])
                self.assertEqual(gateway.stop(), [])

    def test_kill_9_while_held_runs_the_hook_afterwards(self):
        gateway, a, b = self.hooked('return "b"', quiet="1500ms")
        study = study_of(5)
        self.send(gateway, *study)
        gateway.kill()
        gateway.start()
        self.until(a, study)
        self.until(b, study)
        self.assertEqual((len(a.messages), len(b.messages)), (5, 5))

    def test_kill_9_after_the_hook_does_not_run_it_again(self):
        pa, pb = free_port(), free_port()
        gateway, _, _ = self.hooked('print("called") return "b"', a=pa, b=pb, quiet="500ms")
        study = study_of(5)
        self.send(gateway, *study)
        wait_until(lambda: [r for r in self.entries(gateway) if r["node"] == "b"], "the added ones")
        self.assertEqual(len(gateway.events("a rule prints")), 1)
        gateway.kill()
        gateway.start()
        a, b = self.sink(port=pa), self.sink(port=pb)
        self.until(a, study)
        self.until(b, study)
        self.assertEqual(gateway.events("a rule prints"), [])
        self.assertEqual(len(b.messages), 5)

    def test_a_group_that_a_draining_process_has_a_part_of_is_asked_about_once(self):
        a, b = self.sink(), self.sink()
        old = self.start(node("a", a), node("b", b), timeouts={"drain": "4s"}, *[
            copy_to("all", "a", hold=hold(), on_study='function (study) print("called", study.count) return "b" end')])
        study, unfinished = study_of(6), make_instance(1 << 20)
        self.send(old, *study[:3])
        busy = self.sender(old, PAIRS)
        busy.data(busy.begin(unfinished), unfinished.data[:500000])  # holds up the drain
        old.signal(signal.SIGTERM)
        wait_until(lambda: old.events("draining"), "the drain")
        new = self.beside(old)
        self.send(new, *study[3:])
        self.until(a, study)
        self.until(b, study)
        self.assert_in_one_association(a, study)
        self.assertEqual([e["text"] for e in new.events("a rule prints")], ["called\t6"])
        self.assertEqual(old.events("a rule prints"), [])
        self.assertEqual(old.wait_exit(), 0)

    def beside(self, gateway):
        """Another process of the same configuration, while that one drains."""
        new = copy.copy(gateway)
        new.log_path = gateway.log_path + "-2"
        new.start()
        self.addCleanup(lambda: self.assertEqual(new.stop(), []))
        return new

    def test_what_comes_after_the_hook_is_a_group_of_its_own(self):
        gateway, a, b = self.hooked('print("called", study.count) return "b"', quiet="300ms")
        study = new_uid()
        first, second = [of(study) for _ in range(3)], [of(study) for _ in range(2)]
        self.send(gateway, *first)
        self.until(b, first)
        self.send(gateway, *second)
        self.until(b, second)
        self.until(a, first + second)
        self.assertEqual([e["text"] for e in gateway.events("a rule prints")], ["called\t3", "called\t2"])
