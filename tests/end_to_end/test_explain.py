"""What explain says of a file is what the gateway would do with it; nothing is sent, nothing is written."""

import json
import os
import re
import socket

import pydicom

from dicom import BIG_ENDIAN, CT, DEFLATED, EXPLICIT, IMPLICIT, encoded, instance_of
from harness import Case, Lua, declare, files_under, folder, hilum, node, pairs_of, route, samples

MR = "1.2.840.10008.5.1.4.1.1.4"
SITE = Lua('function (ds) ds.PatientID = "SITE7-" .. ds.PatientID end')
ELEMENTS = [
    (0x00080005, "CS", "ISO_IR 100"), (0x00080060, "CS", "CT"), (0x00100010, "PN", b"M\xfcller^J\xfcrg"),
    (0x00100020, "LO", "4711"), (0x00280010, "US", 512),
    (0x00400275, "SQ", [[(0x00400009, "SH", "A-1")], [(0x00400009, "SH", "B-2")]]),
]


def function(body):
    return Lua(f"function (ds, assoc) {body} end")


def part10(instance):
    """An instance as a file."""
    meta = encoded([(0x00020001, "OB", b"\0\1"), (0x00020002, "UI", instance.sop_class),
                    (0x00020003, "UI", instance.uid), (0x00020010, "UI", instance.transfer)])
    return bytes(128) + b"DICM" + encoded([(0x00020000, "UL", len(meta))]) + meta + instance.data


class Explained(Case):
    def setUp(self):
        self.folder = self.temporary_folder()

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)
        return path

    def file(self, elements=ELEMENTS, transfer=EXPLICIT, sop_class=CT, name="x.dcm"):
        return self.write(name, part10(instance_of(elements, transfer, sop_class)))

    def config(self, *declarations, settings="", listen='listen { port = 11112, name = "main" }'):
        lines = ['gateway { uid_key = "a key of some length, for tests", %s }' % settings, listen,
                 node("pacs", 104), node("ai", 105), folder("disk", "/data/{PatientID}/{SOPInstanceUID}.dcm"),
                 *declarations]
        return self.write("c.lua", "\n".join(lines).encode())

    def words(self, config, *arguments, status=0):
        done = hilum("explain", config, *arguments)
        if status is not None:
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def json(self, config, *arguments, status=0):
        out = self.words(config, *arguments, "--json", status=status)
        self.assertEqual(out.count("\n"), 1)
        return json.loads(out)

    def one(self, config, *arguments, status=0):
        """Of one file: its explanation, and that of each route by name."""
        files = self.json(config, *arguments, status=status)["files"]
        self.assertEqual(len(files), 1)
        return files[0], {r["route"]: r for r in files[0]["routes"]}


class Routes(Explained):
    def test_each_route_says_whether_it_matches_and_why_not(self):
        config = self.config(
            route("ct", "pacs", when={"Modality": "CT"}), route("mr", "pacs", when={"Modality": ["MR", "PT"]}),
            route("not ct", "pacs", when={"Modality": Lua('{ no = "C*" }')}),
            route("nested", "pacs", when=Lua('{ ["RequestAttributesSequence[2].ScheduledProcedureStepID"] = "C-3" }')),
            route("rows", "ai", when={"Rows": 256}), route("absent", "ai", when={"StudyDescription": "x"}),
            route("caller", "ai", when={"calling": "CT9"}), route("from", "ai", when={"remote": "10.0.0.0/8"}),
            route("class", "ai", when={"SOPClassUID": "MRImageStorage"}),
            route("yes", "ai", when=function("return ds.Rows == 512")), route("no", "ai", when=function("return false")),
            route("first of two", "ai", when={"Modality": "CT", "PatientID": "1"}),
            route("last", "ai", when={"calling": "CT1", "called": "HILUM", "listener": "main"}, final=True),
            route("behind", "ai"))
        file, routes = self.one(config, self.file(), "--calling", "CT1", "--from", "192.168.1.7")
        self.assertIsNone(file["status"])
        self.assertEqual([n for n, r in routes.items() if r["matches"]], ["ct", "yes", "last"])
        why = {n: r["why"] for n, r in routes.items() if not r["matches"]}
        self.assertEqual(why, {
            "mr": 'Modality is "CT", not "MR" or "PT"', "not ct": 'Modality is "CT", which `no` excludes ("C*")',
            "nested": 'RequestAttributesSequence[2].ScheduledProcedureStepID is "B-2", not "C-3"',
            "rows": "Rows is 512, not 256", "absent": 'StudyDescription is not there or empty, not "x"',
            "caller": 'calling is "CT1", not "CT9"', "from": "remote is 192.168.1.7, not 10.0.0.0/8",
            "class": f'SOPClassUID is "{CT}" (CTImageStorage), not "{MR}" (MRImageStorage)',
            "no": "its function does not hold", "first of two": 'PatientID is "4711", not "1"',
            "behind": 'route "last" is final'})
        self.assertIsNone(routes["behind"]["matches"])

    def test_the_association_can_be_chosen_and_has_defaults(self):
        show = function('error(assoc.calling .. "/" .. assoc.called .. "/" .. assoc.remote .. "/" .. assoc.listener)')
        config = self.config(route("r", "pacs", when=show), settings='ae_title = "GATE"',
                             listen='listen { port = 1, name = "a" } listen { port = 2, name = "b" }')
        path = self.file()
        for arguments, said in (((), "HILUM/GATE/127.0.0.1/a"),
                                (("--calling", "X", "--called=Y", "--from", "::1", "--listener", "b"), "X/Y/::1/b")):
            self.assertIn(said, self.words(config, path, *arguments, status=1))

    def test_a_sender_that_would_be_rejected_is_told(self):
        config = self.config(route("r", "pacs"), listen='listen { port = 1, allow = { "10.0.0.0/8" }, ae_titles = { "HILUM" } }')
        path = self.file()
        self.assertIn("address", self.json(config, path)["rejected"])
        self.assertIn("title", self.json(config, path, "--from", "10.1.1.1", "--called", "X")["rejected"])
        self.assertIsNone(self.json(config, path, "--from", "10.1.1.1")["rejected"])

    def test_the_caller_and_its_certificate_are_told_and_what_it_may_not_is_refused(self):
        config = self.config(route("ct", "pacs", when={"peer": "CN=ct*"}), route("none", "pacs", when={"peer": ""}),
                             declare("caller", "ct", {"calling": "CT*", "peer": "CN=ct1", "sop_classes": "CTImageStorage"}),
                             declare("caller", "mr", {"calling": "MR*", "sop_classes": "MRImageStorage"}),
                             declare("caller", "find", {"calling": "FIND", "services": "find"}),
                             listen='listen { port = 1, deny = { "10.0.0.9" } }')
        path = self.file()
        told = self.json(config, path, "--calling", "CT1", "--peer", "CN=ct1")
        self.assertEqual((told["caller"], told["peer"], told["rejected"]), ("ct", "CN=ct1", None))
        file, routes = self.one(config, path, "--calling", "CT1", "--peer", "CN=ct1")
        self.assertEqual((file["status"], routes["ct"]["matches"], routes["none"]["why"]),
                         (None, True, 'peer is "CN=ct1", not ""'))
        for arguments, why in ((("--calling", "CT1"), "certificate"), (("--calling", "X"), "no caller"),
                               (("--calling", "FIND", "--from", "10.0.0.9"), "denied")):
            self.assertIn(why, self.json(config, path, *arguments)["rejected"])
        for calling, status in ("MR1", "0122"), ("FIND", "0124"):
            self.assertEqual(self.one(config, path, "--calling", calling)[0]["status"], status)

    def test_destinations_are_where_it_would_go(self):
        config = self.config(route("a", ["pacs", "disk"]), route("b", ["pacs", "ai"]))
        path = self.file()
        uid = pydicom.dcmread(path).SOPInstanceUID
        _, routes = self.one(config, path)
        self.assertEqual([(d["node"], d["where"], d["skipped"]) for d in routes["a"]["to"]],
                         [("pacs", "PACS at 127.0.0.1:104", None), ("disk", f"/data/4711/{uid}.dcm", None)])
        self.assertEqual([(d["node"], d["skipped"]) for d in routes["b"]["to"]],
                         [("pacs", 'route "a" sends it the same'), ("ai", None)])

    def test_copies_are_told_as_such(self):
        config = self.config(route("a", "pacs", copy=["ai", "disk"]), declare("route", "b", {"copy": ["pacs", "ai"]}))
        path = self.file()
        uid = pydicom.dcmread(path).SOPInstanceUID
        file, routes = self.one(config, path)
        self.assertIsNone(file["status"])
        self.assertEqual([d["node"] for d in routes["a"]["to"]], ["pacs"])
        self.assertEqual([(d["node"], d["where"], d["skipped"]) for d in routes["a"]["copy"]],
                         [("ai", "AI at 127.0.0.1:105", None), ("disk", f"/data/4711/{uid}.dcm", None)])
        self.assertEqual(routes["b"]["to"], [])
        self.assertEqual([(d["node"], d["skipped"]) for d in routes["b"]["copy"]],
                         [("pacs", 'route "a" sends it the same'), ("ai", 'route "a" sends it the same')])
        said = self.words(config, path)
        self.assertIn("    to pacs: PACS at 127.0.0.1:104\n    copy to ai: AI at 127.0.0.1:105\n    copy to disk: /data", said)
        self.assertIn('    not copy to ai: AI at 127.0.0.1:105: route "a" sends it the same\n', said)

    def test_a_copy_that_a_later_route_sends_is_told_to_be_that_ones(self):
        config = self.config(declare("route", "a", {"copy": "pacs"}), route("b", "pacs"))
        _, routes = self.one(config, self.file())
        self.assertEqual(routes["a"]["copy"][0]["skipped"], 'route "b" sends it the same')
        self.assertIsNone(routes["b"]["to"][0]["skipped"])

    def test_what_came_from_a_node_is_not_copied_back_to_it(self):
        config = self.config(declare("route", "r", {"copy": "pacs"}))
        file, routes = self.one(config, self.file(), "--calling", "PACS")
        self.assertEqual((file["status"], file["comment"]), ("0124", "it came from its only destination"))
        self.assertEqual(routes["r"]["copy"][0]["skipped"], "it came from there")

    def test_nothing_goes_back_to_the_sender_and_what_nobody_takes_is_refused(self):
        config = self.config(route("r", "pacs", when={"PatientID": "4711"}))
        path = self.file()
        file, routes = self.one(config, path, "--calling", "PACS")
        self.assertEqual((file["status"], file["comment"]), ("0124", "it came from its only destination"))
        self.assertEqual(routes["r"]["to"][0]["skipped"], "it came from there")
        other = self.file([(0x00100020, "LO", "1")], name="y.dcm")
        self.assertEqual(self.one(config, other)[0]["comment"], "no route takes this instance")
        self.assertIn("refused with 0124", self.words(config, other))


class Pools(Explained):
    POOL = 'pool "all" { members = { "pacs", "ai" }, %s }'

    def test_a_pool_says_how_it_balances_and_where_a_new_study_would_go(self):
        config = self.config(self.POOL % 'balance = "study"', route("r", "all"))
        went = {}
        for number in range(24):
            for image in range(2):
                file = self.file([(0x0020000D, "UI", f"1.2.826.1.{number}"), (0x00200013, "IS", str(image))])
                where = self.one(config, file)[1]["r"]["to"][0]["where"]
                found = re.fullmatch("pool by study: pacs, ai; a study that is new to it goes to (pacs|ai)", where)
                self.assertTrue(found, where)
                self.assertEqual(went.setdefault(number, found[1]), found[1])
        self.assertEqual(set(went.values()), {"pacs", "ai"})
        self.assertIn("to all: pool by study: pacs, ai; a study", self.words(config, file))

    def test_of_a_pool_that_balances_otherwise_nobody_knows_beforehand(self):
        for balance in ("least", "round-robin", "failover"):
            config = self.config(self.POOL % f'balance = "{balance}"', declare("route", "r", {"copy": "all"}))
            to = self.one(config, self.file([(0x0020000D, "UI", "1.2")]))[1]["r"]["copy"]
            self.assertEqual(to, [{"node": "all", "where": f"pool by {balance}: pacs, ai", "skipped": None}])

    def test_what_came_from_a_member_does_not_go_back_to_its_pool(self):
        config = self.config(self.POOL % "", route("r", "all"))
        file, routes = self.one(config, self.file(), "--calling", "AI")
        self.assertEqual((file["status"], file["comment"]), ("0124", "it came from its only destination"))
        self.assertEqual(routes["r"]["to"][0]["skipped"], "it came from there")

    def test_routes_for_other_services_say_so(self):
        config = self.config(route("s", "pacs"), declare("route", "q", {"to": "pacs", "when": {"service": "find"}}))
        self.assertEqual(self.one(config, self.file())[1]["q"]["why"], 'it is for service "find"')


class Changes(Explained):
    def changes(self, config, *arguments):
        _, routes = self.one(config, *arguments)
        return {(c["change"], c["keyword"]): (c["before"], c["after"]) for r in routes.values() for c in r["changes"] or []}

    def test_before_and_after_at_every_depth_in_every_encoding(self):
        morph = function("""
            ds.PatientID = "X" ds.Rows = { 1, 2 } ds.PatientName = nil ds.Modality = "CT"
            ds.RequestAttributesSequence[2].ScheduledProcedureStepID = "C-3"
            ds.ReferencedStudySequence = { { ReferencedSOPInstanceUID = "1.2.3" } }""")
        config = self.config(route("r", "disk", morph=morph))
        for transfer in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED):
            with self.subTest(transfer):
                self.assertEqual(self.changes(config, self.file(transfer=transfer)), {
                    ("changed", "PatientID"): ("4711", "X"), ("changed", "Rows"): ("512", "1\\2"),
                    ("removed", "PatientName"): ("Müller^Jürg", None),
                    ("changed", "RequestAttributesSequence[2].ScheduledProcedureStepID"): ("B-2", "C-3"),
                    ("added", "ReferencedStudySequence"): (None, "1 item"),
                    ("item added", "ReferencedStudySequence[1]"): (None, None),
                    ("added", "ReferencedStudySequence[1].ReferencedSOPInstanceUID"): (None, "1.2.3")})

    def test_a_morph_that_changes_nothing_says_so(self):
        config = self.config(route("r", "disk", morph=function("ds.PatientID = ds.PatientID")))
        path = self.file()
        self.assertEqual(self.one(config, path)[1]["r"]["changes"], [])
        self.assertIn("nothing is changed", self.words(config, path))
        self.assertIsNone(self.one(self.config(route("r", "disk")), path)[1]["r"]["changes"])

    def test_the_folder_is_named_by_what_is_written(self):
        config = self.config(route("r", "disk", morph=function('ds.PatientID = "NEW" ds.SOPInstanceUID = "1.2.3"')))
        self.assertEqual(self.one(config, self.file())[1]["r"]["to"][0]["where"], "/data/NEW/1.2.3.dcm")

    def test_text_is_shown_and_cannot_harm_a_terminal(self):
        evil = "\x1b[31mred\r\n\u202etxt " + "long" * 1000
        elements = [(0x00080005, "CS", "ISO_IR 192"), (0x00104000, "LT", evil.encode())]
        config = self.config(route("r", "disk", morph=function('ds.PatientComments = "Ж"')))
        path = self.file(elements, name="n\x1bame.dcm")
        out = self.words(config, path)
        self.assertIn('·[31mred···txt long', out)
        self.assertIn('-> "Ж"', out)
        self.assertFalse(set(out) & {"\x1b", "\r", "\u202e"})
        self.assertLess(max(map(len, out.splitlines())), 300)
        change = self.one(config, path)[1]["r"]["changes"][0]
        self.assertTrue(change["is_cut"])
        self.assertTrue(change["before"].startswith("\x1b[31mred\r\n\u202etxt"))

    def test_a_whole_instance_that_changes_its_character_set_shows_the_same_text_as_the_same(self):
        config = self.config(route("r", "disk", morph=function('ds.PatientID = "Ж"')))
        out = self.words(config, self.file())
        self.assertIn('SpecificCharacterSet: "ISO_IR 100" -> "ISO_IR 192"', out)
        self.assertIn('PatientName: "Müller^Jürg", the same text encoded anew', out)

    def test_what_a_trace_adds_is_told_as_well(self):
        config = self.config(route("r", "disk", morph=SITE, trace=True))
        changes = self.changes(config, self.file())
        self.assertEqual(changes[("changed", "PatientID")], ("4711", "SITE7-4711"))
        before = "OriginalAttributesSequence[1].ModifiedAttributesSequence[1].PatientID"
        self.assertEqual(changes[("added", before)], (None, "4711"))

    def test_what_goes_from_behind_pixel_data_is_told(self):
        config = self.config(route("r", "disk", morph=function("ds.DataSetTrailingPadding = nil")))
        path = self.file(ELEMENTS + [(0x7FE00010, "OW", bytes(1000))])
        self.assertEqual(self.one(config, path)[1]["r"]["dropped_behind_pixel_data"], "DataSetTrailingPadding")


class Failures(Explained):
    def test_a_rule_that_fails_is_told_with_its_line_and_the_other_files_go_on(self):
        body = 'if ds.PatientID == "1" then error("by hand") end'
        for key in ("when", "morph"):
            with self.subTest(key):
                config = self.config(route("before", "pacs"), route("r", "ai", **{key: function(body)}))
                bad = self.file([(0x00100020, "LO", "1")], name="a.dcm")
                files = self.json(config, bad, self.file(), status=1)["files"]
                self.assertEqual(files[0]["status"], "C110")
                self.assertIsNone(files[1]["status"])
                failed = files[0]["routes"][1]
                self.assertTrue(failed["failed"])
                self.assertRegex(failed["why"], r"c\.lua:7: .*by hand")
                self.assertEqual(files[0]["routes"][0]["to"][0]["skipped"], "nothing goes out")

    def test_a_rule_without_end_is_ended(self):
        config = self.config(route("r", "ai", morph=function("while true do end")), settings="rule_instructions = 100000")
        self.assertIn("C110", self.words(config, self.file(), status=1))

    def test_garbage_fails_where_it_is_named_and_is_passed_over_in_a_folder(self):
        config = self.config(route("r", "pacs"))
        garbage = self.write("in/garbage.bin", b"no DICOM at all" * 100)
        short = self.write("in/short", b"")
        good = self.file(name="in/sub/good.dcm")
        out = self.json(config, garbage, short, good, "/nonexistent", status=1)
        self.assertEqual([f["file"] for f in out["files"]], [good])
        self.assertEqual([f["file"] for f in out["failures"]], [garbage, short, "/nonexistent"])
        out = self.json(config, os.path.join(self.folder, "in"))
        self.assertEqual(([f["file"] for f in out["files"]], out["failures"], out["not_dicom"]), ([good], [], 2))

    def test_a_data_set_that_cannot_be_read_fails_where_something_asks_for_it(self):
        path = self.write("cut.dcm", part10(instance_of(ELEMENTS))[:-5])
        self.assertIsNone(self.one(self.config(route("r", "pacs")), path)[0]["status"])
        for asks in ({"when": {"StorageMediaFileSetUID": "1"}}, {"morph": SITE}):
            file, _ = self.one(self.config(route("r", "pacs", **asks)), path, status=1)
            self.assertEqual(file["status"], "C000")
            self.assertIn("cannot be read", file["comment"])

    def test_what_is_decided_does_not_ask_for_more(self):
        """As the gateway: a route that Modality rules out, or that stands behind a final one, asks for nothing that lies beyond header_max."""
        path = self.file([*ELEMENTS[:5], (0x00291001, "UN", bytes(300000)), (0x300E0002, "CS", "APPROVED")])
        plans = route("plans", "ai", when={"Modality": "RTPLAN", "ApprovalStatus": "APPROVED"})
        file, routes = self.one(self.config(plans, route("all", "pacs"), settings='header_max = "128KiB", spool = false'), path)
        self.assertIsNone(file["status"])
        self.assertEqual((routes["plans"]["why"], routes["all"]["matches"]), ('Modality is "CT", not "RTPLAN"', True))
        config = self.config(route("cts", "pacs", when={"Modality": "CT"}, final=True),
                             route("approved", "ai", when={"ApprovalStatus": "APPROVED"}), settings='header_max = "128KiB", spool = false')
        file, routes = self.one(config, path)
        self.assertIsNone(file["status"])
        self.assertEqual((routes["cts"]["matches"], routes["approved"]["why"]), (True, 'route "cts" is final'))
        file, routes = self.one(self.config(route("approved", "ai", when={"Modality": "CT", "ApprovalStatus": "APPROVED"}),
                                            route("all", "pacs"), settings='header_max = "128KiB", spool = false'), path, status=1)
        self.assertEqual((file["status"], file["comment"]), ("A700", "what routes ask for lies beyond header_max"))

    def test_a_header_beyond_header_max_is_told(self):
        path = self.file([(0x00091001, "UN", bytes(300000)), *ELEMENTS[2:]])
        config = self.config(route("r", "pacs", morph=SITE), settings='header_max = "128KiB", spool = false')
        file, _ = self.one(config, path, status=1)
        self.assertEqual((file["status"], file["comment"]), ("A700", "what routes ask for lies beyond header_max"))
        config = self.config(route("r", "pacs", morph=SITE), settings='header_max = "128KiB", header_spool_max = "200KiB"')
        file, _ = self.one(config, path, status=1)
        self.assertEqual((file["status"], file["comment"]), ("A700", "what routes ask for lies beyond header_spool_max"))
        file, _ = self.one(self.config(route("r", "pacs", morph=SITE), settings='header_max = "128KiB"'), path)
        self.assertIsNone(file["status"])

    def test_wrong_usage_and_wrong_configurations(self):
        config, path = self.config(route("r", "pacs")), self.file()
        for arguments in ((), (config,), (config, path, "--nonsense"), (config, path, "--from", "here"),
                          (config, path, "--from", "10.0.0.0/8"), (config, path, "--listener", "none"),
                          (config, path, "--calling", "SEVENTEENLETTERS_"), (config, path, "--calling")):
            done = hilum("explain", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertTrue(done.stderr)
        self.assertEqual(hilum("explain", "--help").returncode, 0)
        broken = self.config(route("r", "nobody"))
        done = hilum("explain", broken, path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"{broken}:6:", done.stderr)


class AgainstTheGateway(Explained):
    def test_it_says_of_real_files_what_the_gateway_does_with_them(self):
        out = os.path.join(self.folder, "out")
        declarations = [
            folder("one", out + "/{Modality}/{PatientID}/{SOPInstanceUID}.dcm"), folder("two", out + "/2/{SOPInstanceUID}"),
            route("all but CT", "one", when={"Modality": Lua('{ no = "CT" }')}, morph=function(
                'ds.PatientID = uid.map("1.2.3") ds.StudyInstanceUID = uid.map(ds.StudyInstanceUID or "1") '
                'ds.OtherPatientIDsSequence = nil')),
            route("16 bits", "two", when=function("return ds.BitsAllocated == 16")),
        ]
        gateway = self.gateway(*declarations, uid_key="a key of some length, for tests")
        instances = [i for i in samples() if "truncated" not in i.path]
        before = files_under(self.folder)
        explained = {f["file"]: f for f in self.json(gateway.config, *(i.path for i in instances
                     if i.sop_class != "1.2.840.10008.1.3.10"), status=None)["files"]}
        self.assertEqual(files_under(self.folder), before, "a dry run writes nothing")
        self.assertGreater(len(explained), 50)
        expected = set()
        for instance in instances:
            if instance.path not in explained:
                continue
            with self.subTest(instance.path):
                with self.sender(gateway, pairs_of([instance])) as sender:
                    status = sender.store(instance).status
                told = explained[instance.path]
                self.assertEqual(f"{status:04X}", told["status"] or "0000", told["comment"])
                if told["status"]:
                    continue
                for r in told["routes"]:
                    for to in r["to"]:
                        self.assertTrue(os.path.exists(to["where"]), to)
                        expected.add(to["where"])
                        after = pydicom.dcmread(to["where"], force=True)
                        for c in r["changes"] or []:
                            if c["keyword"] in ("PatientID", "StudyInstanceUID"):
                                self.assertEqual(after[c["keyword"]].value, c["after"])
        # Some files share a UID; the folder gives a number to the second.
        self.assertEqual({re.sub(r"-\d+(\.dcm)?$", r"\1", path) for path in files_under(out)}, expected)

    def test_nobody_is_connected_to(self):
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            listening.settimeout(0.2)
            config = self.config(node("live", listening.getsockname()[1]), route("r", "live"))
            self.words(config, self.file())
            self.assertRaises(TimeoutError, listening.accept)
