"""Requests that a sender should not make as it does: each is answered by a status that says so, and the association goes on."""

import json

import dicom
from dicom import C_FIND_RQ, CT, EXPLICIT, MR, VERIFICATION, make_instance
from harness import Case, files_under, folder, node, route, wait_until


class Requests(Case):
    def setUp(self):
        self.sink_ = self.sink()
        self.gateway_ = self.gateway(node("a", self.sink_), route("all", to="a"))

    def answer(self, sender, context, fields, data=None):
        """The answer; another instance is stored on the same association afterwards."""
        sender.send(context, fields, data)
        answer = sender.response()
        self.assertEqual(answer.fields[0x0100], fields[0x0100] | 0x8000)
        self.assertEqual(answer.answered_id, fields[0x0110])
        before, one = len(self.sink_.messages), make_instance()
        self.assert_stored(sender.store(one))
        self.assertEqual([m.data for m in self.sink_.messages[before:]], [one.data], "and nothing else has arrived")
        return answer

    def test_a_store_on_the_verification_context_is_0122(self):
        sender = self.sender(self.gateway_, [(CT, [EXPLICIT]), (VERIFICATION, [EXPLICIT])])
        one = make_instance(200_000)
        answer = self.answer(sender, 3, sender.store_command(one), one.data)
        self.assertEqual(answer.status, 0x0122)
        self.assertIn("storage", answer.comment)

    def test_a_query_on_a_storage_context_is_0211_and_its_data_set_is_passed_over(self):
        for size in (100, 300_000):
            with self.subTest(size):
                sender = self.sender(self.gateway_)
                fields = {0x0002: dicom.PATIENT_ROOT_FIND, 0x0100: C_FIND_RQ, 0x0110: 7, 0x0700: 0, 0x0800: 1}
                self.assertEqual(self.answer(sender, 1, fields, bytes(size)).status, 0x0211)

    def test_services_that_are_not_served_are_0211(self):
        uids = {0x0002: CT, 0x0003: CT, 0x1000: "1.2.3", 0x1001: "1.2.3"}
        for field, more in ((0x0010, {}), (0x0021, {0x0600: "PACS"}), (0x0110, {}), (0x0120, {}), (0x0130, {0x1008: 1}),
                            (0x0140, {}), (0x0150, {}), (0x0100, {0x1002: 1})):
            with self.subTest(f"{field:04X}"):
                sender = self.sender(self.gateway_)
                fields = {**uids, 0x0100: field, 0x0110: 9, 0x0800: dicom.NO_DATA_SET, **more}
                self.assertEqual(self.answer(sender, 1, fields).status, 0x0211)

    def test_a_class_that_is_not_the_contexts_is_the_destinations_to_judge(self):
        sender, one = self.sender(self.gateway_), make_instance(5000, sop_class=MR)
        self.sink_.answer = lambda m: (0xA900, "class differs") if dicom.text(m.command[2]) == MR else 0
        sender.send(1, sender.store_command(one), one.data)
        answer = sender.response()
        self.assertEqual((answer.status, answer.comment), (0xA900, "class differs"))
        self.assertEqual((self.sink_.messages[0].abstract, self.sink_.messages[0].data), (CT, one.data))

    def test_a_message_id_may_be_used_again_once_it_is_answered(self):
        sender = self.sender(self.gateway_)
        for _ in range(3):
            self.assert_stored(sender.store(make_instance(), message_id=1))

    def test_a_message_id_of_an_outstanding_request_is_0210(self):
        """PS3.7 9.1.1.1.1. Served as well, the two answers could be taken for each other's."""
        sender = self.sender(self.gateway_, window=(4, 1))
        self.sink_.delay = 0.5
        one, other = make_instance(100_000), make_instance(100_000)
        for instance in (one, other):
            sender.send(sender.context_for(instance), sender.store_command(instance, message_id=5), instance.data)
        answers = {sender.response().fields[0x1000].rstrip(b"\0").decode(): None for _ in range(2)}
        self.assertEqual(set(answers), {one.uid, other.uid})
        self.assertEqual([m.data for m in self.sink_.messages], [one.data])
        refused = [e for e in self.gateway_.events("message answered") if e["status"] == "0210"]
        self.assertEqual([e["sop_instance"] for e in refused], [other.uid])

    def test_a_response_of_another_kind_is_no_success(self):
        self.sink_.override = {0x0100: dicom.C_ECHO_RSP}
        answer = self.sender(self.gateway_).store(make_instance())
        self.assertEqual(answer.status, 0xA700)
        wait_until(lambda: self.sink_.used()[0].ended == "abort", "the node's association is not used any more")


class Hostile(Case):
    """Bytes that could forge a line of the log, a path or a comment."""

    UIDS = (b'1.2"\n{"event":"forged"}\n', b"1.2\0\xff\x1b[31m", b"../../../../tmp/x ", b"\\u0022,\"a\":\"b ", b"%s%n%d. ",
            b"1" * 200, b"..", b"/ ", b"\xe2\x80\xae.1 ")

    def test_instance_uids_of_any_bytes(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), folder("disk", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                               route("a", to="a"), route("disk", to="disk"))
        for uid in self.UIDS:
            with self.subTest(uid):
                sender = self.sender(gateway, calling=uid[:16].ljust(16))
                answer = sender.store(make_instance(), f1000=uid)
                self.assertTrue(answer.comment.isprintable(), answer.comment)
                self.assertEqual(answer.fields[0x1000], uid)
                sender.release()
        log = gateway.log()
        self.assertNotIn("\x1b", log)
        for line in log.splitlines():
            self.assertNotEqual(json.loads(line)["event"], "forged")
        for path in files_under(gateway.folder):
            self.assertIn(path.removeprefix(gateway.folder).split("/")[1], ("out", "hilum.lua", "log", "spool"), path)

    def test_comments_of_nodes_of_any_bytes(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        for comment in (b"a\nb\x1b[0m\xff\0c ", b"x" * 400, b'"\\ ', b"%s%n "):
            with self.subTest(comment):
                sink.answer = (0xC001, comment)
                answer = sender.store(make_instance())
                self.assertEqual(answer.status, 0xC001)
                self.assertTrue(answer.comment.isprintable() and len(answer.comment) <= 64, answer.comment)
        for line in gateway.log().splitlines():
            json.loads(line)

    def test_a_user_identity_is_in_no_line_of_the_log(self):
        gateway, _ = self.simple()
        sender = self.sender(gateway, identity=(2, 1, b"dr-secret-name", b"very-secret-word"))
        self.assert_stored(sender.store(make_instance()))
        sender.release()
        for secret in ("dr-secret-name", "very-secret-word"):
            self.assertNotIn(secret, gateway.log())
