"""Who may do what: who is let in, with which reason others are not, and what each caller may ask for."""

import signal
import socket

import dicom
from dicom import CT, EXPLICIT, IMPLICIT, MR, PATIENT_ROOT_FIND, VERIFICATION, make_instance
from harness import SLOW, Case, Lua, declare, folder, node, route, services, wait_until

CALLING, CALLED, NO_REASON = (1, 1, 3), (1, 1, 7), (1, 1, 1)  # PS3.8 9.3.4: result, source, reason
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
COMMITMENT = "1.2.840.10008.1.20.1"
ALL = [(CT, [EXPLICIT])]
MPPS = "1.2.840.10008.3.1.2.3.3"


def caller(name, calling, **keys):
    return declare("caller", name, {"calling": calling, **keys})


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
                               caller("find", "FIND", services=["find"]))
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
