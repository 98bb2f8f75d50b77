"""Who may do what: who is let in, with which reason others are not, and what each caller may ask for."""

import os
import signal
import socket
import ssl

import certificates
import dicom
from dicom import CT, EXPLICIT, IMPLICIT, MR, PATIENT_ROOT_FIND, VERIFICATION, make_instance
from harness import SLOW, Case, Lua, declare, folder, node, route, services, wait_until

CALLING, CALLED, USER = (1, 1, 3), (1, 1, 7), (1, 2, 1)  # PS3.8 9.3.4: result, source, reason; the user: PS3.7 D.3.3.7.3
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
COMMITMENT = "1.2.840.10008.1.20.1"
ALL = [(CT, [EXPLICIT])]
MPPS = "1.2.840.10008.3.1.2.3.3"


def caller(name, calling, **keys):
    return declare("caller", name, {"calling": calling, **keys})


def holds(gateway, word):
    """Whether the gateway's memory has these bytes anywhere."""
    with open(f"/proc/{gateway.process.pid}/maps") as maps, open(f"/proc/{gateway.process.pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, access = line.split()[:2]
            if not access.startswith("rw"):
                continue
            at, end = (int(x, 16) for x in span.split("-"))
            try:
                memory.seek(at)
                if word in memory.read(end - at):
                    return True
            except (OSError, OverflowError):
                continue  # it has gone meanwhile, or is the kernel's
    return False


class Access(Case):
    def assert_rejected(self, gateway, expected, **request):
        with self.assertRaises(dicom.Rejected) as caught:
            self.sender(gateway, **request)
        self.assertEqual((caught.exception.result, caught.exception.source, caught.exception.reason), expected)

    def assert_let_in(self, gateway, **request):
        sender = self.sender(gateway, **request)
        self.assert_stored(sender.store(make_instance()))
        sender.release()

    def causes(self, gateway):
        return [(e["cause"], e["caller"]) for e in gateway.events("association rejected")]

    def archive(self, *declarations, **settings):
        """Everything goes to a folder."""
        return self.gateway(folder("out", "$FOLDER/out/{SOPInstanceUID}"), route("all", to="out"), *declarations, **settings)


class Listeners(Access):
    def test_networks_deny_before_they_allow(self):
        gateway = self.archive(listen=[{"address": "127.0.0.1", "allow": ["127.0.0.0/29"], "deny": "127.0.0.2"}])
        self.assert_let_in(gateway, source="127.0.0.1")
        self.assert_rejected(gateway, CALLING, source="127.0.0.2")
        self.assert_let_in(gateway, source="127.0.0.3")
        self.assert_rejected(gateway, CALLING, source="127.0.0.9")
        self.assertEqual(self.causes(gateway), [("address denied", ""), ("address not allowed", "")])

    def test_called_titles_are_exact(self):
        gateway = self.archive(listen=[{"address": "127.0.0.1", "ae_titles": ["HILUM", "OLD"]}])
        self.assert_let_in(gateway, called="OLD")
        for other in ("hilum", "HILUM2", ""):
            self.assert_rejected(gateway, CALLED, called=other)


class Callers(Access):
    def test_the_first_whose_title_matches_decides(self):
        gateway = self.archive(caller("ct", ["CT*", "MR?"], allow="127.0.0.2"), caller("rest", "*1", allow="127.0.0.1"))
        self.assert_let_in(gateway, calling="CT1", source="127.0.0.2")
        self.assert_let_in(gateway, calling="MR1", source="127.0.0.2")
        self.assert_let_in(gateway, calling="US1")
        self.assert_rejected(gateway, CALLING, calling="CT1")  # the second would have it
        self.assert_rejected(gateway, CALLING, calling="US1", source="127.0.0.2")
        self.assert_rejected(gateway, CALLING, calling="MR22", source="127.0.0.2")
        self.assert_rejected(gateway, CALLING, calling="ct1", source="127.0.0.2")
        self.assertEqual(self.causes(gateway), [("address not allowed for this caller", "ct"),
                                                ("address not allowed for this caller", "rest"),
                                                ("calling AE title of no caller", ""),
                                                ("address not allowed for this caller", "rest")])

    def test_without_a_certificate_nobody_is_who_has_to_show_one(self):
        gateway = self.archive(caller("ct", "CT*", peer="*"), caller("rest", "*"))
        self.assert_rejected(gateway, CALLING, calling="CT1")
        self.assert_let_in(gateway, calling="MR1")
        self.assertEqual(self.causes(gateway), [("certificate not that of this caller", "ct")])

    def test_contexts_of_other_services_are_rejected_by_the_user_and_verification_never(self):
        service = self.service()
        gateway = self.gateway(node("a", service), *services("a", "store", "find", "mpps"),
                               caller("ct", "CT*", services=["store", "mpps"]), caller("find", "FIND", services="find"),
                               caller("rest", "*", services="echo"))
        pairs = [(CT, [EXPLICIT]), (PATIENT_ROOT_FIND, [EXPLICIT]), (MPPS, [EXPLICIT]), (VERIFICATION, [IMPLICIT])]
        for calling, results in ("CT1", [0, 1, 0, 0]), ("FIND", [1, 0, 1, 0]), ("X", [1, 1, 1, 0]):
            with self.subTest(calling):
                sender = self.sender(gateway, pairs, calling=calling)
                self.assertEqual([sender.results[i] for i in (1, 3, 5, 7)], results)
                self.assertEqual(sender.echo().status, 0)
                sender.release()
        accepted = {e["calling"]: (e["accepted"], e["forbidden"]) for e in gateway.events("association accepted")}
        self.assertEqual(accepted, {"CT1": (3, 1), "FIND": (2, 2), "X": (1, 3)})

    def test_contexts_of_other_classes_are_rejected_and_globs_are_taken(self):
        gateway = self.archive(caller("ct", "CT*", sop_classes=["CTImageStorage", "1.2.840.10008.5.1.4.1.1.481.*"]))
        pairs = [(CT, [EXPLICIT]), (MR, [EXPLICIT]), ("1.2.840.10008.5.1.4.1.1.481.2", [EXPLICIT]), (VERIFICATION, [IMPLICIT])]
        sender = self.sender(gateway, pairs, calling="CT1")
        self.assertEqual(sender.results, {1: 0, 3: 1, 5: 0, 7: 0})
        self.assert_stored(sender.store(make_instance()))
        self.assertEqual(sender.echo().status, 0)

    def test_a_request_that_comes_nevertheless_is_refused_by_its_status(self):
        """On the context of another service, or of another class."""
        gateway = self.archive(caller("ct", "CT*", services=["store"], sop_classes="CTImageStorage"),
                               caller("find", "FIND", services=["find"]),
                               route("find", to="a", when={"service": "find"}), node("a", self.service()), caller("mr", "MR", sop_classes="MRImageStorage"))
        sender = self.sender(gateway, [(CT, [EXPLICIT]), (VERIFICATION, [IMPLICIT])], calling="CT1")
        one = make_instance()
        answer = sender.store(one, f0002=MR)
        self.assertEqual((answer.status, answer.comment), (0x0122, "this caller may not use this SOP class"))
        for context in sender.accepted:  # a query
            sender.send(context, {0x0002: PATIENT_ROOT_FIND, 0x0100: dicom.C_FIND_RQ, 0x0110: 7, 0x0700: 0, 0x0800: 1},
                        one.data)
            answer = sender.response()
            self.assertEqual((answer.status, answer.comment), (0x0124, "this caller may not use this service"))
        sender.send(3, sender.store_command(one), one.data)  # an image, where only C-ECHO may be
        self.assertEqual(sender.response().status, 0x0122)
        self.assert_stored(sender.store(one))
        other = self.sender(gateway, [(VERIFICATION, [IMPLICIT])], calling="MR")  # which may query, but not by that class
        other.send(1, {0x0002: VERIFICATION, 0x0100: dicom.C_FIND_RQ, 0x0110: 7, 0x0700: 0, 0x0800: 1}, one.data)
        self.assertEqual(other.response().status, 0x0122)
        for fields in {"f0002": MR, "f0003": CT}, {"f0003": MR}:  # a node may go by either
            self.assertEqual(sender.store(one, **fields).status, 0x0122)
        asks = self.sender(gateway, [(PATIENT_ROOT_FIND, [EXPLICIT])], calling="FIND")  # which may not query worklists
        for fields in {0x0002: WORKLIST_FIND}, {0x0002: WORKLIST_FIND, 0x0003: PATIENT_ROOT_FIND}:
            asks.send(1, {**fields, 0x0100: dicom.C_FIND_RQ, 0x0110: 7, 0x0700: 0, 0x0800: 1}, one.data)
            self.assertEqual(asks.response().status, 0x0124)
        other = self.sender(gateway, [(VERIFICATION, [IMPLICIT])], calling="FIND")
        other.send(1, other.store_command(one), one.data)
        self.assertEqual(other.response().status, 0x0124)
        self.assertEqual(other.echo().status, 0)

    def test_who_may_store_and_not_retrieve_is_given_no_role_for_it(self):
        service = self.service()
        gateway = self.gateway(node("a", service), *services("a", "store", "get"), caller("both", "BOTH"),
                               caller("store", "STORE", services="store"), caller("get", "GET", services="get"))
        roles = [(CT, True, True)]
        pairs = [(CT, [EXPLICIT]), (STUDY_GET, [EXPLICIT])]
        seen = {}
        for calling in ("BOTH", "STORE", "GET"):
            sender = self.sender(gateway, pairs, calling=calling, roles=roles)
            seen[calling] = (sender.results, [(bool(scu), bool(scp)) for _, scu, scp in sender.answer.roles])
            sender.release()
        self.assertEqual(seen["STORE"][0], {1: 0, 3: 1})
        self.assertEqual((seen["STORE"][1][0][1], seen["GET"][1][0][0]), (False, False))
        self.assertEqual(seen["GET"][0], {1: 0, 3: 0})

    def test_a_reload_changes_the_rules_of_new_associations_only(self):
        gateway = self.archive(caller("ct", "CT*"))
        before = self.sender(gateway, calling="CT1")
        gateway.write(folder("out", "$FOLDER/out/{SOPInstanceUID}"), route("all", to="out"),
                      caller("ct", "CT*", services="find"), caller("mr", "MR*"))
        self.assert_rejected(gateway, CALLING, calling="MR1")
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "the reload")
        self.assert_stored(before.store(make_instance()))
        self.assertEqual(self.sender(gateway, calling="CT1").results, {1: 1, 3: 1})
        self.assert_let_in(gateway, calling="MR1")


class Certificates(Access):
    def secured(self, *declarations):
        pki, server = certificates.shared(), certificates.shared().server()
        server = pki.server()
        tls = {"certificate": server.certificate, "key": server.key, "ca": pki.ca, "client": "request"}
        return self.archive(*declarations, listen=[{"address": "127.0.0.1", "tls": tls}])

    def associated(self, gateway, subject=None, **request):
        """A sender with a certificate of that subject, or without one."""
        pki, server = certificates.shared(), certificates.shared().server()
        context = ssl.create_default_context(cafile=pki.ca)
        if subject:
            own = pki.client(subject)
            context.load_cert_chain(own.certificate, own.key)
        return self.sender(gateway, tls=context, **request)

    def test_a_title_belongs_to_the_certificate_of_its_caller(self):
        gateway = self.secured(caller("ct", "CT*", peer=["CN=ct?,O=Hospital", "CN=spare"]), caller("rest", "*"))
        for subject in ("CN=ct1,O=Hospital", "CN=spare"):
            self.assert_stored(self.associated(gateway, subject, calling="CT1").store(make_instance()))
        for subject in ("CN=ct1,O=Clinic", "CN=ct10,O=Hospital", "CN=mr1,O=Hospital", "CN=CT1,O=Hospital", None):
            with self.subTest(subject), self.assertRaises(dicom.Rejected) as caught:
                self.associated(gateway, subject, calling="CT1")
            self.assertEqual((caught.exception.result, caught.exception.source, caught.exception.reason), CALLING)
        self.assert_stored(self.associated(gateway, calling="MR1").store(make_instance()))
        (first, *_) = gateway.events("association rejected")
        self.assertEqual((first["cause"], first["caller"], first["peer"]),
                         ("certificate not that of this caller", "ct", "CN=ct1,O=Clinic"))

    def test_routes_and_rules_know_the_peer(self):
        """In conditions, in functions as `when`, in morphs; "" and nil are who shows no certificate."""
        keeps = Lua("function (ds, assoc) ds.InstitutionName = assoc.peer or 'nobody' end")
        sinks = {name: self.sink() for name in ("ct", "none", "other", "lua", "morph")}
        gateway = self.secured(*(node(name, sink) for name, sink in sinks.items()),
                               route("ct", to="ct", when={"peer": "CN=ct*"}), route("none", to="none", when={"peer": ""}),
                               route("other", to="other", when=Lua('{ peer = { no = { "CN=ct*", "" } } }')),
                               route("lua", to="lua", when=Lua('function (ds, assoc) return assoc.peer == "CN=lua" end')),
                               route("morph", to="morph", morph=keeps))
        for subject, taken in ("CN=ct1", ["ct"]), (None, ["none"]), ("CN=lua", ["other", "lua"]), ("CN=mr", ["other"]):
            with self.subTest(subject):
                before = {name: len(sink.messages) for name, sink in sinks.items()}
                self.assert_stored(self.associated(gateway, subject).store(make_instance()))
                got = [name for name, sink in sinks.items() if len(sink.messages) > before[name]]
                self.assertEqual(got, [*taken, "morph"])
                self.assertIn((subject or "nobody").encode(), sinks["morph"].messages[-1].data)

    def test_a_context_is_offered_to_who_has_a_route_by_its_certificate(self):
        service = self.service()
        gateway = self.secured(node("a", service),
                               route("find", to="a", when={"service": "find", "peer": "CN=ws*"}))
        pairs = [(PATIENT_ROOT_FIND, [EXPLICIT])]
        self.assertEqual(self.associated(gateway, "CN=ws1", pairs=pairs).results, {1: 0})
        self.assertEqual(self.associated(gateway, "CN=ct1", pairs=pairs).results, {1: 3})


class Identity(Access):
    """PS3.7 D.3.3.7: (type, positive response requested, primary field, secondary field)."""

    KINDS = [(1, b"ada", b""), (2, b"ada", b"secret-word"), (3, b"\x60\x82ticket", b""), (4, b"<saml/>", b""), (5, b"ey.J.wt", b"")]

    def served(self, *declarations, answer=b"of the node", **settings):
        sink = self.sink(identity_answer=answer)
        return self.gateway(node("a", sink), route("all", to="a"), *declarations, **settings), sink

    def seen(self, sink):
        return [a.request.identity for a in sink.used()]

    def test_pass_hands_every_type_on_and_the_nodes_answer_back(self):
        gateway, sink = self.served(caller("all", "*", identity="pass"))
        for kind, primary, secondary in self.KINDS:
            with self.subTest(kind):
                sender = self.sender(gateway, identity=(kind, 1, primary, secondary))
                self.assertEqual(sender.answer.identity_answer, b"of the node")
                self.assert_stored(sender.store(make_instance()))
                sender.release()
                self.assertEqual(self.seen(sink)[-1], (kind, 1, primary, secondary))
        self.assert_let_in(gateway)
        self.assertIsNone(self.seen(sink)[-1])

    def test_require_wants_one_and_hands_it_on(self):
        gateway, sink = self.served(caller("all", "*", identity="require"))
        self.assert_rejected(gateway, USER)
        for kind, primary, secondary in self.KINDS:
            with self.subTest(kind):
                sender = self.sender(gateway, identity=(kind, 1, primary, secondary))
                self.assertEqual(sender.answer.identity_answer, b"of the node")
                self.assert_stored(sender.store(make_instance()))
                sender.release()
                self.assertEqual(self.seen(sink)[-1], (kind, 1, primary, secondary))
        self.assertEqual(self.causes(gateway), [("no user identity", "all")])

    def test_require_does_not_take_what_is_no_identity(self):
        gateway, sink = self.served(caller("all", "*", identity="require"))
        for kind, primary in ((1, b""), (2, b""), (5, b""), (0, b"ada"), (6, b"ada"), (255, b"ada")):
            with self.subTest(kind):
                self.assert_rejected(gateway, USER, identity=(kind, 1, primary, b""), calling=f"T{kind}")
        self.assertEqual(self.causes(gateway), 3 * [("user identity is empty", "all")] + 3 * [("user identity of an unknown type", "all")])
        self.assertEqual(sink.used(), [])

    def test_drop_tells_the_node_nothing_and_the_sender_neither(self):
        gateway, sink = self.served(caller("all", "*", identity="drop"))
        for kind, primary, secondary in self.KINDS:
            with self.subTest(kind):
                sender = self.sender(gateway, identity=(kind, 1, primary, secondary))
                self.assertIsNone(sender.answer.identity_answer)
                self.assert_stored(sender.store(make_instance()))
                sender.release()
        self.assertEqual(set(self.seen(sink)), {None})

    def test_a_function_sees_each_type_and_says_who_is_let_in(self):
        """What is not there is "", so that two things that are not there are not the same."""
        gateway, sink = self.served(
            "local KNOWN = { ada = 'secret-word' }",
            caller("all", "*", identity=Lua("""function (user, assoc)
                if user == nil then return assoc.calling == "NOBODY" and assoc.peer == nil end
                if assoc.called ~= "HILUM" or assoc.remote ~= "127.0.0.1" or assoc.service ~= "" then return false end
                if user.type == 1 then return user.name == "ada" and user.passcode == "" end
                if user.type == 2 then return user.passcode == KNOWN[user.name] end
                if user.type == 3 then return user.ticket == "\\x60\\x82ticket" and user.name == "" and user.token == "" end
                return user.token == (user.type == 4 and "<saml/>" or "ey.J.wt") and user.ticket == ""
            end""")))
        for kind, primary, secondary in self.KINDS:
            for wants in (0, 1):
                with self.subTest(kind, wants=wants):
                    sender = self.sender(gateway, identity=(kind, wants, primary, secondary))
                    self.assertEqual(sender.answer.identity_answer, b"" if wants and kind <= 2 else None)
                    self.assert_stored(sender.store(make_instance()))
                    sender.release()
        self.assert_let_in(gateway, calling="NOBODY")
        self.assertEqual(set(self.seen(sink)), {None}, "it has been checked here, and goes no further")
        self.assert_rejected(gateway, USER, calling="X")
        for wrong in (1, b"eve", b""), (2, b"ada", b"other"), (2, b"eve", b""), (2, b"", b""), (5, b"<saml/>", b""), (9, b"?", b""):
            with self.subTest(wrong):
                self.assert_rejected(gateway, USER, identity=(wrong[0], 1, *wrong[1:]), calling=f"W{wrong[0]}")
        self.assertEqual({cause for cause, _ in self.causes(gateway)}, {"user identity not accepted"})

    def left_behind(self, gateway, sink, context=None, is_kept=False):
        """A short passcode, and one that comes in more than one piece."""
        for length in 24, 20_000:
            word = os.urandom(12).hex().encode()
            secret = word * (length // 24)
            sender = self.sender(gateway, identity=(2, 1, b"ada", secret), tls=context)
            self.assert_stored(sender.store(make_instance()))
            if is_kept:
                self.assertEqual(self.seen(sink)[-1][3], secret)
                self.assertTrue(holds(gateway, word), "what is kept, for further associations to nodes, is not found")
            sender.release()
            wait_until(lambda w=word: not holds(gateway, w), "it is gone from memory", 5)
            self.assertNotIn(word.decode(), gateway.log())

    def test_a_passcode_is_not_left_behind_in_memory(self):
        for identity in "pass", "require", "drop":
            with self.subTest(identity):
                gateway, sink = self.served(caller("all", "*", identity=identity))
                self.left_behind(gateway, sink, is_kept=identity != "drop")

    def test_nor_behind_tls(self):
        pki, server = certificates.shared(), certificates.shared().server()
        gateway, sink = self.served(caller("all", "*", identity="pass"), listen=[{"tls": {"certificate": server.certificate, "key": server.key}}])
        context = ssl.create_default_context(cafile=pki.ca)
        self.left_behind(gateway, sink, context, is_kept=True)

    def test_a_function_that_fails_lets_nobody_in_and_says_where(self):
        for body, said in (("return user.passcod == nil", "user has no "),
                           ("return user.name", "it returned a string; it must return true or false"),
                           ("error('no: ' .. user.passcode)", "an error of the rule's own"), ("while true do end", "ran past"), ("user.name = ''", "user is read-only"),
                           ("return assoc.patient", "assoc has no ")):
            with self.subTest(body):
                gateway, sink = self.served(caller("all", "*", identity=Lua(f"function (user, assoc)\n{body}\nend")))
                self.assert_rejected(gateway, USER, identity=(2, 1, b"ada", b"secret-word"))
                (line,) = gateway.events("association rejected")
                place = gateway.log().index("hilum.lua:")
                self.assertEqual(line["level"], "error")
                self.assertRegex(line["cause"], 'hilum.lua:[0-9]+: caller "all": identity')
                self.assertIn(said, line["cause"])
                self.assertGreater(place, 0)
                self.assertEqual(gateway.events("association accepted"), [])
                self.assertNotIn("secret-word", gateway.log())
                gateway.stop()

    def test_what_proves_an_identity_is_in_no_line_of_any_level(self):
        """Let in, refused, passed on: the log is at its most talkative."""
        check = Lua("function (user, assoc) if user.name == 'broken' then error(nil) end return user.name == 'known' end")
        for identity in ("pass", "require", "drop", check):
            with self.subTest(identity):
                gateway, _ = self.served(caller("all", "*", identity=identity))
                for kind in range(1, 6):
                    for name in (b"known", b"broken"):
                        primary, secondary = (name, b"very-secret") if kind == 2 else (name + b"very-secret", b"")
                        try:
                            sender = self.sender(gateway, identity=(kind, 1, primary, secondary))
                            self.assert_stored(sender.store(make_instance()))
                            sender.release()
                        except dicom.Rejected as e:
                            self.assertEqual((e.result, e.source, e.reason), USER)
                gateway.stop()
                self.assertNotIn("very-secret", gateway.log())

    def test_an_identity_that_no_node_takes_is_refused_as_before(self):
        sink = self.sink()
        sink.reject = (1, 2, 1)
        gateway = self.gateway(node("a", sink), route("all", to="a"), caller("all", "*"))
        self.assert_rejected(gateway, (1, 2, 1), identity=(1, 0, b"ada", b""))
        self.assertEqual(self.causes(gateway), [("the nodes reject it, which has a user identity", "all")])


class Logs(Access):
    def lines(self, gateway):
        return gateway.events("association rejected") + gateway.events("more associations rejected")

    def knock(self, gateway, count, **request):
        """So many associations that are refused."""
        for i in range(count):
            each = {key: value(i) if callable(value) else value for key, value in request.items()}
            connection = socket.create_connection(("127.0.0.1", gateway.port), 20 * SLOW,
                                                  source_address=(each.pop("source", "127.0.0.1"), 0))
            wire = dicom.Wire(connection, 20 * SLOW)
            wire.send(dicom.Associate(contexts=[dicom.Proposed(1, CT, [EXPLICIT])], **each).encode())
            self.assertEqual(wire.pdu()[0], dicom.ASSOCIATE_RJ)
            wire.close()

    def test_a_flood_of_refused_associations_is_a_line_and_a_count(self):
        gateway = self.archive(caller("ct", "CT*"), log_format="json")
        self.knock(gateway, 500, calling="MR1")
        self.knock(gateway, 3, calling="MR2")
        self.assertEqual([e["calling"] for e in gateway.events("association rejected")], ["MR1", "MR2"])
        gateway.stop()
        told = {e["title"]: e for e in gateway.events("more associations rejected")}
        self.assertEqual({title: e["count"] for title, e in told.items()}, {"MR1": 499, "MR2": 2})
        self.assertEqual((told["MR1"]["remote"], told["MR1"]["cause"]), ("127.0.0.1", "calling AE title of no caller"))
        self.assertEqual([e for e in gateway.events("association ended") if e["level"] != "debug"], [])

    def test_who_changes_its_title_each_time_fills_no_log_either(self):
        gateway = self.archive(caller("ct", "CT*"))
        self.knock(gateway, 300, calling=lambda i: f"MR{i}")
        gateway.stop()
        self.assertLessEqual(len(gateway.events("association rejected")), 64)
        rest = sum(e["count"] for e in gateway.events("more associations rejected"))
        self.assertEqual(len(gateway.events("association rejected")) + rest, 300)
