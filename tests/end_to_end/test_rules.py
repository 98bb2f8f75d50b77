"""Functions of routes in a running gateway: what they see, what they may not do, and what becomes of the others when they fail."""

import os
import signal
import struct
import unittest
import zlib

from dicom import CT, DEFLATED, EXPLICIT, Ended, encoded, instance_of, p_data, pdv
from harness import SANITIZED, Case, Lua, files_under, node, route, wait_until
from test_morph import ELEMENTS, PIXELS, read

MIB = 1 << 20
OK, FAILED = 0, 0xC110
SMALL = {"rule_instructions": 1_000_000, "rule_memory": "4MiB"}

# Morphs that fail: what it is, the body of its function, the line in it, what the log says.
FAULTY = [
    ("an error of Lua", "\nlocal x = ds.PatientID\nlocal y = x.y.z", 3, "index a nil value"),
    ("an error that is raised", '\nerror("not this one")', 2, "not this one"),
    ("an error that is no text", "\nerror({})", 2, "not a string"),
    ("an unknown keyword", '\nds.PatientIdd = "X"', 2, "PatientID"),
    ("a value that the VR cannot hold", '\nds.StudyDate = "yesterday"', 2, "StudyDate"),
    ("a number that the VR cannot hold", "\n\nds.Rows = 70000", 3, "Rows"),
    ("pixel data", '\nds.PixelData = "X"', 2, "PixelData"),
    ("a fact", '\nds.sop_class = "1.2"', 2, "read-only"),
    ("a global", "\nx = 1", 2, "x"),
    ("the key of uid.map, which is not there", '\nds.StudyInstanceUID = uid.map("1.2")', 2, "uid_key"),
    ("a loop", "\nwhile true do end", 2, "rule_instructions"),
    ("a loop that pcall cannot hold", "\nwhile true do pcall(function () while true do end end) end", 2, "rule_instructions"),
    ("a hoard", '\nlocal t = {} for i = 1, 1e6 do t[i] = "x" .. i end', 2, "rule_"),
    ("a long text", 'local s = "x" for i = 1, 40 do s = s .. s end', 1, "rule_memory"),
]


def function(body):
    return Lua(f"function (ds, assoc) {body} end")


def ct():
    return instance_of(ELEMENTS + [PIXELS])


class Failing(Case):
    def test_a_morph_that_fails_fails_its_message_alone_with_c110_and_its_line_in_the_log(self):
        """All in one gateway, each by its calling title, besides a plain route that must get nothing of those messages either."""
        bad, plain = self.sink(), self.sink()
        routes = [route(f"bad {i}", to="bad", when={"calling": f"S{i}"}, morph=function(body))
                  for i, (_, body, _, _) in enumerate(FAULTY)]
        gateway = self.gateway(node("bad", bad), node("plain", plain), *routes, route("plain", to="plain"), **SMALL)
        with open(gateway.config) as f:
            lines = f.read().splitlines()
        fine = self.sender(gateway, calling="OTHER")
        for i, (what, _, line, says) in enumerate(FAULTY):
            with self.subTest(what):
                sender = self.sender(gateway, calling=f"S{i}")
                for _ in range(2):
                    answer = sender.store(ct())
                    self.assertEqual(answer.status, FAILED, str(answer))
                    self.assertIn(f"bad {i}", answer.comment)
                first = next(n for n, text in enumerate(lines, 1) if f'"bad {i}"' in text)
                event = gateway.events("a rule failed")[-1]
                self.assertIn(f"{gateway.config}:{first + line - 1}: ", event["cause"])
                self.assertIn(says, event["cause"])
                self.assertIn(f"bad {i}", event["cause"])
                self.assertEqual(event["level"], "error")
                self.assert_stored(fine.store(ct()))
        self.assertEqual(len(gateway.events("a rule failed")), 2 * len(FAULTY))
        self.assertEqual((len(bad.messages), len(plain.messages)), (0, len(FAULTY)))

    def test_the_second_morph_of_a_message_fails_and_the_first_has_sent_nothing(self):
        a, b = self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), route("1", to="a", morph=function('ds.PatientID = "X"')),
                               route("2", to="b", morph=function('error("no")')))
        self.assertEqual(self.sender(gateway).store(ct()).status, FAILED)
        self.assertEqual([s.current or s.messages for s in a.associations + b.associations], [[], []])

    def test_a_when_that_fails_refuses_the_message_with_c110(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("by function", to="a", when=function("return ds.Nonsense == 1")))
        answer = self.sender(gateway).store(ct())
        self.assertEqual(answer.status, FAILED)
        self.assertIn("by function", answer.comment)
        self.assertEqual(sink.messages, [])

    def test_a_header_beyond_header_max_is_refused_with_a700_and_logged(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function("ds.PatientID = nil")), header_max="64KiB",
                               spool=False)
        sender = self.sender(gateway)
        answer = sender.store(instance_of(ELEMENTS + [(0x00420011, "OB", bytes(MIB))]))
        self.assertEqual(answer.status, 0xA700, str(answer))
        self.assertEqual(len(gateway.events("too large to be held")), 1)
        self.assert_stored(sender.store(instance_of(ELEMENTS + [(0x7FE00010, "OW", bytes(MIB))])))
        self.assertEqual(len(sink.messages), 1)

    @unittest.skipIf(SANITIZED, "a sanitizer's memory is not the gateway's")
    def test_five_hundred_rules_that_fail_leave_no_memory_behind(self):
        gateway = self.gateway(node("a", self.sink()), route("r", to="a", morph=function(
            'ds.PatientID = ("x"):rep(60) local t = {} for i = 1, 1000 do t[i] = {} end error("no")')))
        sender, one = self.sender(gateway), ct()
        for i in range(600):
            self.assertEqual(sender.store(one).status, FAILED)
            if i == 100:
                before = gateway.memory("VmRSS")
        self.assertLess(gateway.memory("VmRSS"), before + 8 * MIB)


@unittest.skipIf(SANITIZED, "a sanitizer's memory is not the gateway's")
class Memory(Case):
    """`memory` caps what is held for rules as it caps all payload."""

    def test_changed_headers_that_a_destination_does_not_take_are_capped(self):
        sink = self.sink(receive_buffer=65536, at_bytes=(1000, "stall"))
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function('ds.PatientID = "X"')), memory="32MiB",
                               workers=1, max_pdu=0, timeouts={"drain": "100ms"})
        one = instance_of(ELEMENTS + [(0x00420011, "OB", bytes(6 * MIB)), PIXELS])
        for _ in range(20):
            sender = self.sender(gateway)
            sender.wire.socket.settimeout(0.3)
            try:
                sender.data(sender.begin(one), one.data[:-1000])
            except TimeoutError:  # it may well be made to wait
                pass
        try:
            wait_until(lambda: sum(a.current is not None for a in sink.associations) == 20, "all arrive", 1)
        except AssertionError:
            pass  # as it should be
        self.assertLess(gateway.memory("RssAnon"), (32 + 48) * MIB)  # not what the system could drop: files

    def test_what_is_held_in_tiny_fragments_is_capped(self):
        gateway = self.gateway(node("a", self.sink()), route("r", to="a", when={"PatientID": "OLD"}), memory="32MiB",
                               workers=1, max_pdu=0, timeouts={"drain": "100ms"})
        sender, size = self.sender(gateway), 6 * MIB
        one = instance_of([(0x00091002, "OB", bytes(size))])
        context = sender.begin(one)
        sender.data(context, one.data[:-size])
        block = p_data(pdv(context, 0, bytes(2)) * 1000)
        sender.wire.socket.settimeout(5)
        try:
            for _ in range(size // 2000):
                sender.wire.send(block)
            sender.data(context, bytes(size % 2000), last=True)
            sender.response()
        except (TimeoutError, Ended):
            pass
        self.assertLess(gateway.memory(), (32 + 48) * MIB)

    def refused(self, gateway, count, *parts, transfer=EXPLICIT):
        """By as many associations, which stay: the first part of all of them, then the next. What those were told that have an answer."""
        senders = [self.sender(gateway, [(CT, [transfer])]) for _ in range(count)]
        contexts = [sender.begin(instance_of(ELEMENTS, transfer)) for sender in senders]
        for part in parts:
            for sender, context in zip(senders, contexts):
                sender.data(context, part, last=part is parts[-1])
        wait_until(lambda: len(gateway.events("message answered")) > count // 2, "most of them are refused")
        return {(e["status"], e["comment"]) for e in gateway.events("message answered")}

    def test_headers_that_inflate_are_capped(self):
        """15 KiB each, of which 15 MiB are made, before any of them is whole; then they go to a node that does not answer."""
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        header = encoded(ELEMENTS) + struct.pack("<HH2sHI", 0x0042, 0x0011, b"OB", 0, 15 * MIB) + bytes(15 * MIB)
        amid = packer.compress(header) + packer.flush(zlib.Z_SYNC_FLUSH)
        rest = packer.flush()
        sink = self.sink(keep=False, at_answer="never")
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function('ds.PatientID = "X"')), memory="64MiB",
                               workers=1, timeouts={"drain": "100ms"})
        answers = self.refused(gateway, 24, amid, rest + bytes(len(amid + rest) % 2), transfer=DEFLATED)
        self.assertEqual(answers, {("A700", "no memory to hold what routes ask for")})
        self.assertLess(gateway.memory(), (64 + 64) * MIB)

    def test_what_morphs_add_to_headers_is_capped(self):
        sink = self.sink(keep=False, at_answer="never")
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function('ds["0040,A160"] = ("x"):rep(900000)')),
                               memory="16MiB", workers=1, spool=False, timeouts={"drain": "100ms"})
        answers = self.refused(gateway, 160, encoded(ELEMENTS))
        self.assertEqual(answers, {("A700", "no memory to hold what routes ask for")})
        self.assertLess(gateway.memory(), (16 + 64) * MIB)  # Lua's own, and what malloc keeps


class Hanging(Case):
    """A pattern that takes the square of what a peer sends: minutes, in a C function that no budget ends."""

    def hang(self, **settings):
        gateway = self.gateway(node("a", self.sink()), route("slow", to="a", when=function(
            'return (ds.TextValue or ""):find("foo.-bar") ~= nil')), workers=1, **settings)
        one = instance_of(ELEMENTS + [(0x0040A160, "UT", b"foox" * 200_000)])
        sender = self.sender(gateway, calling="CULPRIT")
        sender.data(sender.begin(one), one.data, last=True)
        wait_until(lambda: gateway.events("a rule is still running"), "it is told while it hangs", 5)
        return gateway

    def given_up(self, gateway, seconds):
        """It has ended by itself, by 1 for it could not end as it should, and has said why."""
        self.assertEqual(gateway.wait_exit(seconds), 1)
        (event,) = gateway.events("a rule does not end")
        self.assertEqual((event["route"], event["rule"], event["calling"]), ("slow", "when", "CULPRIT"))

    def test_a_rule_that_hangs_is_logged_while_it_does_and_does_not_keep_the_gateway_from_ending(self):
        gateway = self.hang(timeouts={"drain": "300ms"})
        (event,) = gateway.events("a rule is still running")
        self.assertEqual((event["level"], event["route"], event["rule"], event["calling"], event["remote"]),
                         ("warn", "slow", "when", "CULPRIT", "127.0.0.1"))
        self.assertGreaterEqual(event["ms"], 1000)
        gateway.signal(signal.SIGTERM)
        self.given_up(gateway, 6)

    def test_a_second_signal_ends_it_without_the_drain(self):
        gateway = self.hang(timeouts={"drain": "10m"})
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: gateway.events("draining"), "it drains")
        gateway.signal(signal.SIGTERM)
        self.given_up(gateway, 6)


class When(Case):
    def test_functions_see_the_data_set_and_the_association_and_route_by_them(self):
        sinks = [self.sink() for _ in range(4)]
        whens = ['return ds.Modality == "CT" and ds.Rows == 512',
                 'return assoc.calling == "SENDER" and assoc.remote == "127.0.0.1" and assoc.called == "HILUM"',
                 'return ds.RequestAttributesSequence[1].ScheduledProcedureStepID == "B-2"',
                 'return ds.sop_class == assoc.sop_class and ds.transfer_syntax == "1.2.840.10008.1.2.1" and ds.PixelData == nil']
        gateway = self.gateway(*[node(f"n{i}", s) for i, s in enumerate(sinks)],
                               *[route(f"r{i}", to=f"n{i}", when=function(w)) for i, w in enumerate(whens)])
        one = ct()
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual([[m.data == one.data for m in s.messages] for s in sinks], [[True], [True], [], [True]])

    def test_the_data_set_is_read_only_in_when(self):
        bodies = ['ds.PatientID = "X"', "ds.PatientID = nil", "ds:remove_private()", 'ds:private("A", 9, 1, "X", "LO")',
                  "ds.RequestAttributesSequence[1] = nil", 'ds.RequestAttributesSequence[1].ScheduledProcedureStepID = "X"',
                  'for e in ds:elements() do e.value = nil end']
        sink = self.sink()
        gateway = self.gateway(node("a", sink), *[route(f"r{i}", to="a", when=function(
            f'if assoc.calling ~= "S{i}" then return false end {body} return true')) for i, body in enumerate(bodies)])
        for i, body in enumerate(bodies):
            with self.subTest(body):
                self.assertEqual(self.sender(gateway, calling=f"S{i}").store(ct()).status, FAILED)
                self.assertIn("read-only", gateway.events("a rule failed")[-1]["cause"])
        self.assertEqual(sink.messages, [])

    def test_tables_functions_and_morphs_work_together(self):
        """Attributes first, then the header for the function, then the morph on what the function has seen."""
        a, b, c = self.sink(), self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), node("c", c),
                               route("1", to="a", when={"Modality": "CT"}, morph=function('ds.PatientID = "A"')),
                               route("2", to="b", when=function('return ds.PatientID == "OLD"'), final=True),
                               route("3", to="c"))
        sender = self.sender(gateway)
        one, other = ct(), instance_of([(0x00080060, "CS", "MR"), (0x00100020, "LO", "NEW")])
        for each in (one, other):
            self.assert_stored(sender.store(each))
        self.assertEqual([read(m).PatientID for m in a.messages], ["A"])
        self.assertEqual(([m.data for m in b.messages], [m.data for m in c.messages]), ([one.data], [other.data]))


class Over(Case):
    """From call to call, and from configuration to configuration."""

    def test_what_a_rule_keeps_of_one_call_is_an_error_in_the_next_and_never_another_message(self):
        keeps = ["ds", "assoc", "ds.RequestAttributesSequence", "ds.RequestAttributesSequence[1]", "ds:elements()",
                 "(function () for e in ds:elements() do return e end end)()"]
        uses = ["kept.PatientID", "kept.calling", "kept[1]", "kept.ScheduledProcedureStepID", "kept(ds)", "kept.value"]
        sink = self.sink()
        gateway = self.gateway(node("a", sink), *[
            Lua(f"local kept{i}\n" + route(f"r{i}", to="a", when={"calling": f"S{i}"}, morph=function(
                f'if kept{i} then local x = {use.replace("kept", f"kept{i}")} else kept{i} = {keep} end')))
            for i, (keep, use) in enumerate(zip(keeps, uses))], workers=1)
        for i, keep in enumerate(keeps):
            with self.subTest(keep):
                sender = self.sender(gateway, calling=f"S{i}")
                answers = [sender.store(ct()).status for _ in range(3)]
                expected = [OK, OK, OK] if keep == "ds:elements()" else [OK, FAILED, FAILED]  # an iterator without its state
                self.assertEqual(answers, expected, [e["cause"] for e in gateway.events("a rule failed")][-1:])

    def test_a_reload_changes_functions_for_new_associations_and_old_ones_finish_on_the_old(self):
        sink = self.sink()

        def rule(value):
            return route("r", to="a", when=function("return ds.Modality == 'CT'"), morph=function(f'ds.PatientID = "{value}"'))
        gateway = self.gateway(node("a", sink), rule("V0"))
        running = [self.sender(gateway)]
        for version in range(1, 4):
            gateway.write(node("a", sink), rule(f"V{version}"))
            gateway.signal(signal.SIGHUP)
            wait_until(lambda: len(gateway.events("reloaded")) == version, "it is reloaded")
            running.append(self.sender(gateway))
            for number, sender in enumerate(running):
                self.assert_stored(sender.store(ct()))
                self.assertEqual(read(sink.messages[-1]).PatientID, f"V{number}")

    def test_a_reload_in_the_middle_of_a_held_message_leaves_it_to_the_old_rules(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function('ds.PatientID = "OLD-RULE"')))
        sender, one = self.sender(gateway), ct()
        context = sender.begin(one)
        sender.data(context, one.data[:50])
        gateway.write(node("a", sink), route("r", to="a"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "it is reloaded")
        sender.data(context, one.data[50:], last=True)
        self.assert_stored(sender.response())
        self.assertEqual(read(sink.messages[0]).PatientID, "OLD-RULE")

    def test_a_function_with_a_mistake_refuses_the_reload_and_the_old_ones_go_on(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function('ds.PatientID = "V0"')))
        gateway.write(node("a", sink), route("r", to="a", morph=function("ds.PatientID = = 1")))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reload refused, the old configuration stays"), "it is refused")
        self.assert_stored(self.sender(gateway).store(ct()))
        self.assertEqual(read(sink.messages[0]).PatientID, "V0")


class Helpers(Case):
    def mapped(self, key, workers, count):
        """What becomes of UID 1.2.3, hash and date, over so many associations of a new gateway."""
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function(
            'ds.StudyInstanceUID = uid.map("1.2.3") ds.PatientID = hash("X"):sub(1, 20) ds.StudyDate = date.shift("20240228", 2)')),
            uid_key=key, workers=workers)
        for _ in range(count):
            self.assert_stored(self.sender(gateway).store(ct()))
        used = {e["assoc"].split("-")[0] for e in gateway.events("message answered")}
        return {(d.StudyInstanceUID, d.PatientID, d.StudyDate) for d in map(read, sink.messages)}, used

    def test_uid_map_and_hash_are_the_same_on_every_worker_and_after_a_restart_and_follow_the_key(self):
        first, used = self.mapped("secret", 4, 24)
        self.assertGreater(len(used), 1, "one worker alone has served: the test says nothing")
        self.assertEqual(len(first), 1)
        self.assertEqual(self.mapped("secret", 1, 1)[0], first)
        (uid, code, date), = first
        (other_uid, other_code, _), = self.mapped("another", 1, 1)[0]
        self.assertNotEqual(uid, other_uid)
        self.assertNotEqual(code, other_code)
        self.assertRegex(uid, r"^2\.25\.[1-9]\d*$")
        self.assertEqual(date, "20240301")

    def test_uid_new_is_never_the_same(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function("ds.SOPInstanceUID = uid.new()")))
        for _ in range(4):
            sender = self.sender(gateway)
            for _ in range(5):
                self.assert_stored(sender.store(ct()))
        self.assertEqual(len(set(sink.uids)), 20)

    def test_print_goes_to_the_log_a_line_each_with_its_route(self):
        gateway = self.gateway(node("a", self.sink()), route("chatty", to="a", morph=function(
            'print(ds.PatientID, 7, nil) print("two\\nlines \\"quoted\\"")')))
        self.assert_stored(self.sender(gateway).store(ct()))
        events = gateway.events("a rule prints")
        self.assertEqual([e["route"] for e in events], ["chatty"] * 2)
        self.assertEqual(events[0]["text"], "OLD\t7\tnil")
        self.assertIn('"quoted"', events[1]["text"])

    def test_nothing_of_the_system_is_within_reach_of_a_rule(self):
        names = ["io", "os", "package", "debug", "load", "loadfile", "dofile", "collectgarbage"]
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("r", to="a", morph=function(
            "".join(f'assert({name} == nil, "{name}") ' for name in names) + 'ds.PatientID = "SAFE"')))
        self.assert_stored(self.sender(gateway).store(ct()))
        self.assertEqual(read(sink.messages[0]).PatientID, "SAFE")
        self.assertEqual([os.path.basename(f) for f in files_under(gateway.folder) if f.endswith(".lua")], ["hilum.lua"])
