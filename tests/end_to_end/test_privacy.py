"""What the log holds of patients, of UIDs and of secrets: nothing, unless `log.patient`; hashes, if `log.uids` says so; never."""

import hashlib
import hmac
import os
import re
import signal
import subprocess
import unittest

from dicom import CT, EXPLICIT, instance_of
from harness import HILUM, Case, Lua, files_under, folder, node, route, wait_until
from peer_service import Answer

NAME, ID, BORN, ACCESSION, STUDY = "SCHMIDT^ERIKA", "PID-774411", "19480229", "ACC5519", "2.25.7331"
WHO = ("SCHMIDT", "Schmidt", "ERIKA", "774411", BORN, ACCESSION)  # as a path, a comment or a rule may write it
C_FIND_RQ, FIND = 0x0020, "1.2.840.10008.5.1.4.1.2.2.1"
PRIVATE = {"level": "debug", "format": "json"}


def instance():
    return instance_of([(0x00080020, "DA", BORN), (0x00080050, "SH", ACCESSION), (0x00100010, "PN", NAME), (0x00100020, "LO", ID),
                        (0x00100030, "DA", BORN), (0x0020000D, "UI", STUDY), (0x7FE00010, "OW", bytes(100))])


def function(body):
    return Lua(f"function (ds, assoc) {body} end")


# Rules that fail over what they are given, by the calling title that they are for.
RULES = {
    "RAISE": 'error("no such patient: " .. tostring(ds.PatientName) .. ds.PatientID)',
    "BARE": 'error(ds.PatientName, 0)',
    "AGAIN": 'local ok, e = pcall(function () error("about " .. ds.PatientID) end) error(e, 0)',
    "ASSERT": 'assert(ds.PatientName == "X", ds.PatientName)',
    "KEY": 'local x = ds[ds.PatientID]',
    "SHIFT": 'ds.PatientBirthDate = date.shift(ds.PatientID, 1)',
    "VALUE": 'ds.PatientBirthDate = ds.PatientName',
    "NUMBER": 'local x = ds[tonumber(ds.PatientBirthDate) * 1000000]',
    "COMPARE": 'local x = ds.PatientName < 5',
    "PRINT": 'print("at", ds.PatientName, ds.PatientID) ds.PatientID = nil',
}


class Everything(Case):
    """One gateway that meets all that can bring a name into a line of the log."""

    def traffic(self, log):
        said = f"duplicate of {NAME} {ID}"
        refuses, busy = self.sink(answer=(0xC001, said)), self.sink(answer=(0xA700, f"no room for {NAME}"))

        def fail(call):
            yield Answer(0xC001, None, {0x0902: f"many {NAME}"})

        service = self.service({C_FIND_RQ: fail})
        disk = "$FOLDER/{PatientName}/{PatientBirthDate}-{AccessionNumber}/{SOPInstanceUID}.dcm"
        gateway = self.gateway(
            node("refuses", refuses), node("busy", busy), node("archive", service), folder("disk", disk),
            *[route(f"rule {title}", to="refuses", when={"calling": title}, morph=function(body)) for title, body in RULES.items()],
            route("when", to="refuses", when=function('return assoc.calling == "WHEN" and ds[ds.PatientName]')),
            route("refused", to="refuses", when={"calling": "DENIED"}),
            route("busy", to="busy", when={"calling": "QUEUED"}, on_failure="queue"),
            route("copied", to="disk", copy="refuses", when={"calling": "COPIED"}),
            route("disk", to="disk", when={"calling": "DISK"}),
            route("find", to="archive", when={"service": "find"}),
            log=log, uid_key="Zaubertrank", retry={"first": "50ms", "most": "100ms"})
        self.sent = []
        for title in [*RULES, "WHEN", "DENIED", "QUEUED", "COPIED", "DISK"]:
            sender = self.sender(gateway, calling=title)
            one = instance()
            self.sent.append(one)
            sender.store(one)
            if title == "DISK":  # the same name, other content
                other = instance_of([(0x00080050, "SH", ACCESSION), (0x00100010, "PN", NAME), (0x00100030, "DA", BORN)], uid=one.uid)
                self.assert_stored(sender.store(other))
            sender.release()
        self.assertEqual(self.client(gateway, [FIND]).find(FIND, QueryRetrieveLevel="STUDY", PatientName=NAME).status, 0xC001)
        wait_until(lambda: len(busy.messages) > 2 and gateway.events("refused for good, kept for an operator"), "the queue has tried")
        self.assertTrue(any(NAME.split("^")[0] in path for path in files_under(gateway.folder)), "the folder has the name")
        gateway.stop()
        self.assertIn(b"ERIKA", b"".join(m.data for m in refuses.messages), "the name was there to be told")
        return gateway

    def test_by_default_no_line_names_a_patient(self):
        gateway = self.traffic(dict(PRIVATE))
        for who in WHO:
            self.assertNotIn(who, gateway.log())
        for one in self.sent:
            self.assertIn(one.uid, gateway.log())

    def test_what_is_withheld_leaves_what_an_operator_needs(self):
        gateway = self.traffic(dict(PRIVATE))
        failed = [e["cause"] for e in gateway.events("a rule failed")]
        self.assertEqual(len(failed), len(RULES))  # without PRINT, with WHEN
        for title in set(RULES) - {"PRINT"}:
            line, = (cause for cause in failed if f'"rule {title}"' in cause)
            self.assertRegex(line, r"^/.*hilum\.lua:\d+: route ")
        self.assertTrue(any("attempt to compare" in cause for cause in failed), "what Lua itself says holds no values")
        self.assertTrue(any("StudyDate" in cause or "PatientBirthDate" in cause for cause in failed), "an attribute is named")
        self.assertEqual({e["path"] for e in gateway.events("file stored")},
                         {gateway.folder + "/{PatientName}/{PatientBirthDate}-{AccessionNumber}/{SOPInstanceUID}.dcm"})
        refused = [e for e in gateway.events("message answered") if e["calling"] == "DENIED"]
        self.assertEqual([(e["status"], e["comment"]) for e in refused], [("C001", "(withheld)")])

    def test_patient_true_shows_all_of_it(self):
        gateway = self.traffic({**PRIVATE, "patient": True})
        log = gateway.log()
        for what in (f"duplicate of {NAME}", f"no such patient: {NAME}{ID}", "/SCHMIDT_ERIKA/", f"at\\u0009{NAME}"):
            self.assertIn(what, log)

    def test_hashes_take_the_place_of_uids(self):
        gateway = self.traffic({**PRIVATE, "uids": "hash"})
        log = gateway.log()
        for one in self.sent:
            self.assertNotIn(one.uid, log)
            hashed = hmac.new(b"Zaubertrank", b"log:" + one.uid.encode(), hashlib.sha256).hexdigest()[:16]
            self.assertIn(f'"sop_instance":"#{hashed}"', log)
        self.assertNotIn(STUDY, log)
        for who in WHO:
            self.assertNotIn(who, log)

    def test_a_reload_changes_it(self):
        gateway, _ = self.simple(settings={"log": {**PRIVATE, "uids": "hash"}})
        first, second = instance(), instance()
        self.assert_stored(self.sender(gateway).store(first))
        gateway.settings["log"] = {"level": "debug", "format": "json", "uids": "plain"}
        with open(gateway.config) as f:
            rest = f.read().split("\n", 1)[1]
        gateway.listen = []
        gateway.write(rest)
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reloaded"), "it has reloaded")
        self.assert_stored(self.sender(gateway).store(second))
        self.assertNotIn(first.uid, gateway.log())
        self.assertIn(second.uid, gateway.log())


class Secrets(Case):
    KEY, WORD, TOKEN = "kEy-0f-tHe-UIDs", "pAsSw0rd-of-a-man", "tOkEn-of-a-machine"

    def test_no_output_holds_a_secret(self):
        """At debug, with all that a patient could be shown by: what is secret is not shown by it."""
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("all", to="a", morph=function("ds.PatientID = hash(ds.PatientID)")),
                               log={**PRIVATE, "patient": True}, uid_key=Lua('env "KEY_OF_UIDS"'),)
        sender = self.sender(gateway, identity=(2, 1, b"somebody", self.WORD.encode()))
        self.assert_stored(sender.store(instance()))
        self.sender(gateway, identity=(3, 0, self.TOKEN.encode(), b""))
        gateway.settings["uid_key"] = Lua('{ env "KEY_OF_UIDS" }')
        gateway.write(node("a", sink), route("all", to="a"))
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.events("reload refused, the old configuration stays"), "the reload is refused")
        gateway.stop()
        for secret in (self.KEY, self.WORD, self.TOKEN):
            self.assertNotIn(secret, gateway.log())

    environment = {"KEY_OF_UIDS": KEY}

    def test_no_complaint_about_a_key_quotes_it(self):
        folder_ = self.temporary_folder()
        config = os.path.join(folder_, "bad.lua")
        for setting in ('uid_key = { "%s" }', 'uid_key = %s', 'uid_keys = "%s"'):
            with self.subTest(setting):
                secret = "55667788" if '"' not in setting else self.KEY
                with open(config, "w") as f:
                    f.write("gateway { " + setting % secret + ' }\nlisten "0"\n')
                done = subprocess.run([HILUM, "check", config], capture_output=True, text=True)
                self.assertEqual(done.returncode, 1)
                self.assertIn("uid_key", done.stdout + done.stderr)
                self.assertNotIn(secret, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
