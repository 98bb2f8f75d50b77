"""Queries and retrievals of several archives as of one, against archives that are scripted: who is asked for what, what comes twice, and what an
archive that fails leaves behind. test_find.py and test_retrieve.py ask real ones."""

import threading

import dicom
from dicom import CT, DEFLATED, EXPLICIT, IMPLICIT, encoded
from harness import SANITIZED, Case, free_port, node, wait_until
from peer_client import Client, getting
from peer_data import (PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE, UNIQUE_KEY, WORKLIST_FIND,
                       data_of, read)
from peer_service import Answer, Ask, Service, endless, found, until

ABOVE = ["PATIENT", "STUDY", "SERIES", "IMAGE"]


class Archive(Service):
    """Has what `holds` says, {study: {series: [instances]}}, of one patient, and answers for it as PS3.4 C has it.

    dies_after: so many sub-operations, then the association ends; fails: instances of which it says that they failed; mute_below: it answers
    no query below this level; counts: whether it says how many instances there are."""

    def __init__(self, holds, title="PACS", **settings):
        self.holds, self.title = holds, title
        self.given = []  # instances, as they went
        self.dies_after, self.fails, self.mute_below, self.counts = None, (), None, True
        self.pause = None  # an event that is awaited in the middle of retrievals
        super().__init__({dicom.C_FIND_RQ: self.find, dicom.C_MOVE_RQ: self.retrieve, dicom.C_GET_RQ: self.retrieve}, **settings)

    def entities(self):
        for study, series in self.holds.items():
            for one, instances in series.items():
                for uid in instances:
                    yield {"PatientID": "P1", "StudyInstanceUID": study, "SeriesInstanceUID": one, "SOPInstanceUID": uid}

    def matching(self, keys):
        """Instances of which every unique key is in the list that is asked for, or is not asked for."""
        def holds(one):
            return all(not keys.get(key) or one[key] in keys[key].split("\\") for key in UNIQUE_KEY.values())
        return [one for one in self.entities() if holds(one)]

    def find(self, call):
        keys = call.values
        level = keys["QueryRetrieveLevel"]
        if self.mute_below and ABOVE.index(level) > ABOVE.index(self.mute_below):
            yield Answer(0xC001, None, {0x0902: "not at this level"})
            return
        matching, seen = self.matching(keys), {}
        for one in matching:
            seen.setdefault(one[UNIQUE_KEY[level]], []).append(one)
        for instances in seen.values():
            upper = [UNIQUE_KEY[one] for one in ABOVE[:ABOVE.index(level) + 1]]
            answer = {key: value for key, value in instances[0].items() if key in upper and (key in keys or key == UNIQUE_KEY[level])}
            count = f"NumberOf{level.title()}RelatedInstances"
            if count in keys and self.counts:
                answer[count] = str(len(instances))
            if call.cancelled:
                break
            yield Answer(0xFF00, data_of(call.transfer, QueryRetrieveLevel=level, RetrieveAETitle=self.title, **answer))
        yield Answer(0xFE00 if call.cancelled else 0x0000)

    def retrieve(self, call):
        instances = [one["SOPInstanceUID"] for one in self.matching(call.values)]
        is_get = call.command[0x0100] == dicom.C_GET_RQ
        failed = []
        for number, uid in enumerate(instances):
            if number == self.dies_after:
                yield "abort"
            if self.pause and number == 1:
                yield from until(self.pause.is_set, call)
            if call.cancelled:
                counts = {0x1020: len(instances) - number, 0x1021: number - len(failed), 0x1022: len(failed), 0x1023: 0}
                yield Answer(0xFE00, None, counts)
                return
            if uid in self.fails:
                failed.append(uid)
            else:
                self.given.append(uid)
                if is_get:
                    yield self.c_store(call, uid)
            yield Answer(0xFF00, None, {0x1020: len(instances) - number - 1, 0x1021: number + 1 - len(failed), 0x1022: len(failed),
                                        0x1023: 0})
        counts = {0x1021: len(instances) - len(failed), 0x1022: len(failed), 0x1023: 0}
        if not failed:
            yield Answer(0x0000, None, counts)
        else:
            listed = data_of(call.transfer, FailedSOPInstanceUIDList="\\".join(failed))
            yield Answer(0xA702 if len(failed) == len(instances) else 0xB000, listed, counts)

    def c_store(self, call, uid):
        context = next(i for i, (abstract, _) in call.association.contexts.items() if abstract == CT)
        instance = dicom.make_instance(2000, uid=uid)
        return Ask(context, {0x0002: CT, 0x0100: dicom.C_STORE_RQ, 0x0700: 0, 0x1000: uid}, instance.data)

    def asked_for(self, field):
        """(level, unique keys) of each request of a kind."""
        out = []
        for call in self.asked(field):
            keys = call.values
            out.append((keys["QueryRetrieveLevel"], keys[UNIQUE_KEY[keys["QueryRetrieveLevel"]]].split("\\")))
        return out


def study(number, **series):
    """{study: {series: [instances]}}: s1=[1, 2] are two instances of the first series."""
    uid = f"1.2.{number}"
    return {uid: {f"{uid}.{name[1:]}": [f"{uid}.{name[1:]}.{n}" for n in numbers] for name, numbers in series.items()}}


def uids(holds):
    return {uid for series in holds.values() for instances in series.values() for uid in instances}


class Merging(Case):
    def archive(self, holds=None, **settings):
        archive = Archive(holds or {}, **settings)
        self.addCleanup(self._stop_sink, archive)
        return archive

    def service(self, scripts, **settings):
        service = Service(scripts, **settings)
        self.addCleanup(self._stop_sink, service)
        return service

    def merged(self, *archives, services=("find", "move", "get"), of_route="", **settings):
        """A gateway before these; a port stands for an archive that is away."""
        names = [f"pacs{number + 1}" for number in range(len(archives))]
        nodes = [node(name, archive) for name, archive in zip(names, archives)]
        routes = [f'route "{service}" {{ when = {{ service = "{service}" }}, to = {{ {", ".join(map(repr, names))} }}{of_route} }}'
                  for service in services]
        return self.gateway(*nodes, *routes, **settings)

    def client(self, gateway, pairs, **more):
        client = Client(gateway.port, [(one, [EXPLICIT, IMPLICIT]) for one in pairs], seconds=20, **more)
        self.addCleanup(client.close)
        return client

    def assert_grown_less(self, gateway, before, most):
        """Sanitizers have memory of their own."""
        if not SANITIZED:
            self.assertLess(gateway.memory("VmRSS") - before, most)

    def getter(self, gateway):
        pairs, roles = getting([CT], [EXPLICIT])
        client = Client(gateway.port, [*pairs, (STUDY_ROOT_FIND, [EXPLICIT])], roles=roles, seconds=20)
        self.addCleanup(client.close)
        return client


class Find(Merging):
    def test_each_study_is_answered_once_whoever_has_it(self):
        a, b = self.archive(study(1, s1=[1]) | study(2, s1=[1])), self.archive(study(2, s1=[1]) | study(3, s1=[1]))
        outcome = self.client(self.merged(a, b), [STUDY_ROOT_FIND]).find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        self.assertEqual(outcome.status, 0, str(outcome))
        self.assertEqual(sorted(one["StudyInstanceUID"] for one in outcome.answers), ["1.2.1", "1.2.2", "1.2.3"])

    def test_at_every_level_its_own_key_counts(self):
        holds = study(1, s1=[1, 2], s2=[1])
        gateway = self.merged(self.archive(holds), self.archive(holds))
        client = self.client(gateway, [PATIENT_ROOT_FIND, STUDY_ROOT_FIND])
        for level, root, expected in (("PATIENT", PATIENT_ROOT_FIND, 1), ("STUDY", STUDY_ROOT_FIND, 1), ("SERIES", STUDY_ROOT_FIND, 2),
                                      ("IMAGE", STUDY_ROOT_FIND, 3)):
            keys = {"QueryRetrieveLevel": level, UNIQUE_KEY[level]: ""}
            self.assertEqual(len(client.find(root, **keys).answers), expected, level)

    def test_the_retrieve_title_is_the_one_that_was_called(self):
        a, b = self.archive(study(1, s1=[1]), title="PACS1"), self.archive(study(2, s1=[1]), title="A TITLE OF SIXTE")
        client = self.client(self.merged(a, b), [STUDY_ROOT_FIND], called="ARCHIVE")
        outcome = client.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        self.assertEqual([one["RetrieveAETitle"] for one in outcome.answers], ["ARCHIVE", "ARCHIVE"])

    def test_without_a_route_to_retrieve_by_the_archives_title_stays(self):
        a, b = self.archive(study(1, s1=[1]), title="PACS1"), self.archive(study(2, s1=[1]), title="PACS2")
        client = self.client(self.merged(a, b, services=["find"]), [STUDY_ROOT_FIND])
        outcome = client.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        self.assertEqual(sorted(one["RetrieveAETitle"] for one in outcome.answers), ["PACS1", "PACS2"])

    def test_what_is_not_the_title_goes_on_byte_for_byte(self):
        odd = dicom.element(8, 0x05, b"ISO_IR 100", b"CS") + dicom.element(0x10, 0x10, b"M\xfcller^A\0\0", b"PN") \
            + dicom.element(0x20, 0x0D, b"1.2.3   ", b"UI") + dicom.element(0x21, 0x10, b"PRIVATE ", b"LO")
        title = dicom.element(8, 0x54, b"SENDER-1", b"AE")
        a, b = self.service({dicom.C_FIND_RQ: found(odd, pending=0xFF01)}), self.service({dicom.C_FIND_RQ: found()})
        client = self.client(self.merged(a, b), [STUDY_ROOT_FIND], called="SENDER-1")
        outcome = client.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        self.assertEqual(outcome.pending[0].data, odd[:18] + title + odd[18:])
        self.assertEqual(outcome.pending[0].status, 0xFF01)

    def test_an_archive_that_fails_makes_a_warning_that_names_it(self):
        def abort(call):
            yield "abort"
        a = self.archive(study(1, s1=[1]))
        for broken in (self.service({dicom.C_FIND_RQ: found(status=0xA700)}), self.service({dicom.C_FIND_RQ: abort}), free_port()):
            client = self.client(self.merged(a, broken), [STUDY_ROOT_FIND])
            outcome = client.find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
            self.assertEqual(outcome.status, 0xB000)
            self.assertIn("pacs2", outcome.comment)
            self.assertEqual([one["StudyInstanceUID"] for one in outcome.answers], ["1.2.1"])

    def test_when_all_fail_the_worst_failure_is_the_answer(self):
        a, b = self.service({dicom.C_FIND_RQ: found(status=0xA700)}), self.service({dicom.C_FIND_RQ: found(status=0xA900)})
        outcome = self.client(self.merged(a, b), [STUDY_ROOT_FIND]).find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        self.assertEqual(outcome.status, 0xA900)
        self.assertIn(outcome.comment, ("pacs1, pacs2 failed", "pacs2, pacs1 failed"))

    def test_a_cancelled_query_ends_at_every_archive(self):
        def studies(first):
            return endless(lambda number: data_of(EXPLICIT, QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.{first}.{number}"))
        a, b = self.service({dicom.C_FIND_RQ: studies(1)}), self.service({dicom.C_FIND_RQ: studies(2)})
        client = self.client(self.merged(a, b), [STUDY_ROOT_FIND])
        outcome = client.find(STUDY_ROOT_FIND, cancel_after=10, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        self.assertEqual(outcome.status, 0xFE00)
        self.assertEqual((len(a.cancels), len(b.cancels)), (1, 1))
        self.assertEqual(client.find(STUDY_ROOT_FIND, cancel_after=1, QueryRetrieveLevel="STUDY", StudyInstanceUID="").status, 0xFE00)

    def test_worklist_steps_are_told_apart_by_study_and_step(self):
        def step(uid, number, name="A"):
            return data_of(EXPLICIT, PatientName=name, StudyInstanceUID=uid,
                           ScheduledProcedureStepSequence=[{"ScheduledProcedureStepID": number}])
        bare = data_of(EXPLICIT, PatientName="NO KEYS")
        a = self.service({dicom.C_FIND_RQ: found(step("1.1", "S1"), step("1.1", "S2"), bare)})
        b = self.service({dicom.C_FIND_RQ: found(step("1.1", "S2", "B"), step("1.2", "S2"), bare)})
        gateway = self.merged(a, b, services=["worklist", "move"])
        outcome = self.client(gateway, [WORKLIST_FIND]).find(WORKLIST_FIND, PatientName="")
        self.assertEqual(outcome.status, 0, str(outcome))
        self.assertEqual(len(outcome.answers), 4)
        self.assertFalse(any("RetrieveAETitle" in one for one in outcome.answers))

    def test_answers_that_cannot_be_read_go_on_as_they_are(self):
        broken = data_of(EXPLICIT, StudyInstanceUID="1.2.3")[:-3] + b"x"
        a, b = self.service({dicom.C_FIND_RQ: found(broken, b"\xff" * 10)}), self.service({dicom.C_FIND_RQ: found(broken)})
        outcome = self.client(self.merged(a, b), [STUDY_ROOT_FIND]).find(STUDY_ROOT_FIND, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        self.assertEqual(outcome.status, 0)
        self.assertEqual(sorted(one.data for one in outcome.pending), sorted([broken, b"\xff" * 10, broken]))

    def test_many_answers_and_a_client_that_does_not_read_take_no_memory(self):
        def studies(call):
            filler = "x" * 10000
            for number in range(3000):
                if number % 64 == 0:
                    yield None
                yield Answer(0xFF00, data_of(EXPLICIT, QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.2.{number}", ImageComments=filler))
            yield Answer(0x0000)
        rule = ', morph_response = function (ds) ds.PatientName = "RENAMED" end'
        for count, more in ((2, ""), (2, rule), (1, rule)):
            with self.subTest(archives=count, more=more):
                archives = [self.service({dicom.C_FIND_RQ: studies}, keep=False) for _ in range(count)]
                gateway = self.merged(*archives, of_route=more, services=["find"], workers=1, window="256KiB", memory="64MiB",
                                      log={"level": "info", "format": "json"})
                client = self.client(gateway, [STUDY_ROOT_FIND])
                asked = client.ask(dicom.C_FIND_RQ, STUDY_ROOT_FIND, data_of(EXPLICIT, QueryRetrieveLevel="STUDY", StudyInstanceUID=""))
                wait_until(lambda: all(one.calls for one in archives), "all are asked")
                before = gateway.memory("VmRSS")
                threading.Event().wait(1)  # that it would take to read all of it
                self.assert_grown_less(gateway, before, 16 << 20)
                outcome = client.finish(asked)
                self.assertEqual((outcome.status, len(outcome.pending)), (0, 3000))

    def test_requests_that_inflate_take_no_memory(self):
        """A few KiB each on the wire, 12 MiB inflated."""
        bomb = encoded([(0x00080052, "CS", "STUDY"), (0x0020000D, "UI", "1.2.3"), (0x00420011, "OB", bytes(12 << 20))], DEFLATED)
        for field, sop_class, service, more in ((dicom.C_FIND_RQ, STUDY_ROOT_FIND, "find", {}), (dicom.C_MOVE_RQ, STUDY_ROOT_MOVE, "move", {"f0600": "DEST"})):
            with self.subTest(service=service):
                gate = threading.Event()

                def wait(call):
                    yield from until(gate.is_set, call)
                    yield Answer(0)
                archives = [self.service({dicom.C_FIND_RQ: wait, dicom.C_MOVE_RQ: wait}) for _ in range(2)]
                gateway = self.merged(*archives, services=[service], workers=1, memory="64MiB", log={"level": "info", "format": "json"})
                clients = [Case.client(self, gateway, [sop_class], [DEFLATED], window=(16, 1)) for _ in range(4)]
                asked = [(one, [one.ask(field, sop_class, bomb, **more) for _ in range(16)]) for one in clients]
                self.addCleanup(gate.set)
                threading.Event().wait(1)
                wait_until(lambda: archives[0].calls, "it is asked")
                self.assertLess(gateway.memory("VmRSS"), 400 << 20 if not SANITIZED else 1 << 40)
                gate.set()
                for one, ids in asked:
                    for _ in ids:
                        self.assertIn(one.next().status, (0, 0xA700))
                self.assertTrue(gateway.alive())


class Retrieve(Merging):
    def move(self, gateway, destination="DEST", cancel_after=None, root=STUDY_ROOT_MOVE, **keys):
        return self.client(gateway, [root]).move(root, destination, cancel_after, **keys)

    def assert_given_once(self, expected, *archives):
        given = sorted(uid for archive in archives for uid in archive.given)
        self.assertEqual(given, sorted(expected))

    def test_what_one_has_is_asked_of_it_as_it_came(self):
        a, b = self.archive(study(1, s1=[1, 2])), self.archive(study(2, s1=[1]))
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.1", "PatientID": "P1 odd  "}
        outcome = self.move(self.merged(a, b), **{**keys, "PatientID": ""})
        self.assertEqual((outcome.status, outcome.counts), (0, {"completed": 2, "failed": 0, "warning": 0}), str(outcome))
        self.assertEqual(a.asked(dicom.C_MOVE_RQ)[0].data, data_of(EXPLICIT, **{**keys, "PatientID": ""}))
        self.assertEqual(a.asked(dicom.C_MOVE_RQ)[0].command[0x0600], b"DEST")
        self.assertEqual(b.asked(dicom.C_MOVE_RQ), [])
        self.assertEqual([one.counts["remaining"] for one in outcome.pending], [1, 0])

    def test_a_study_in_pieces_comes_whole_and_nothing_twice(self):
        a = self.archive(study(1, s1=[1, 2], s2=[1, 2, 3], s3=[1, 2], s4=[1, 3, 5, 7]))
        b = self.archive(study(1, s2=[1, 2, 3], s3=[3, 4], s4=[2, 4, 5]))
        c = self.archive(study(1, s5=[1]))
        expected = uids(a.holds) | uids(b.holds) | uids(c.holds)
        gateway = self.merged(a, b, c)
        outcome = self.move(gateway, QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual((outcome.status, outcome.counts["completed"]), (0, len(expected)), str(outcome))
        self.assert_given_once(expected, a, b, c)
        self.assertEqual([one.counts["completed"] for one in outcome.pending], list(range(1, len(expected) + 1)))
        self.assertEqual(outcome.pending[-1].counts["remaining"], 0)

    def test_so_it_is_with_c_get(self):
        a, b = self.archive(study(1, s1=[1, 2], s2=[1, 2])), self.archive(study(1, s2=[2, 3], s3=[1]))
        expected = uids(a.holds) | uids(b.holds)
        client = self.getter(self.merged(a, b))
        outcome = client.get(STUDY_ROOT_GET, QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual((outcome.status, outcome.counts["completed"]), (0, len(expected)), str(outcome))
        self.assertEqual(sorted(one.text(0x1000) for one in outcome.requests), sorted(expected))

    def test_so_it_is_at_every_level(self):
        a, b = self.archive(study(1, s1=[1, 2], s2=[1, 2]) | study(2, s1=[1])), self.archive(study(1, s1=[2, 3], s3=[1]) | study(3, s1=[1]))
        gateway = self.merged(a, b)
        everything = uids(a.holds) | uids(b.holds)
        one = {uid for uid in everything if uid.startswith("1.2.1.")}
        cases = [
            (PATIENT_ROOT_MOVE, {"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}, everything),
            (STUDY_ROOT_MOVE, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.1\\1.2.2"}, one | {"1.2.2.1.1"}),
            (PATIENT_ROOT_MOVE, {"QueryRetrieveLevel": "STUDY", "PatientID": "P1", "StudyInstanceUID": "1.2.1"}, one),
            (STUDY_ROOT_MOVE, {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1\\1.2.1.3"},
             {uid for uid in one if not uid.startswith("1.2.1.2.")}),
            (STUDY_ROOT_MOVE, {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1",
                               "SOPInstanceUID": "1.2.1.1.1\\1.2.1.1.2\\1.2.1.1.3"}, {"1.2.1.1.1", "1.2.1.1.2", "1.2.1.1.3"}),
        ]
        for root, keys, expected in cases:
            with self.subTest(level=keys["QueryRetrieveLevel"]):
                a.given.clear(), b.given.clear()
                outcome = self.move(gateway, root=root, **keys)
                self.assertEqual((outcome.status, outcome.counts["completed"]), (0, len(expected)), str(outcome))
                self.assert_given_once(expected, a, b)

    def test_what_nobody_has_is_no_failure(self):
        a, b = self.archive(study(1, s1=[1])), self.archive(study(2, s1=[1]))
        outcome = self.move(self.merged(a, b), QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.9")
        self.assertEqual((outcome.status, outcome.counts), (0, {"completed": 0, "failed": 0, "warning": 0}))
        self.assertEqual(a.asked(dicom.C_MOVE_RQ) + b.asked(dicom.C_MOVE_RQ), [])

    def test_what_a_query_has_shown_is_not_asked_for_again(self):
        a, b = self.archive(study(1, s1=[1, 2])), self.archive(study(2, s1=[1]))
        gateway = self.merged(a, b, services=["find", "move"])
        client = self.client(gateway, [STUDY_ROOT_FIND, STUDY_ROOT_MOVE])
        client.find(STUDY_ROOT_FIND, QueryRetrieveLevel="SERIES", StudyInstanceUID="1.2.1", SeriesInstanceUID="")
        self.assertEqual(client.move(STUDY_ROOT_MOVE, "DEST", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1").counts["completed"], 2)
        self.assertEqual((len(a.asked(dicom.C_FIND_RQ)), len(b.asked(dicom.C_FIND_RQ))), (1, 1))
        a.holds, b.holds = b.holds, a.holds  # and it has gone to the other one meanwhile
        self.assertEqual(client.move(STUDY_ROOT_MOVE, "DEST", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1").counts["completed"], 2)
        self.assertEqual(b.given, ["1.2.1.1.1", "1.2.1.1.2"])

    def test_a_mirror_gives_what_a_dying_archive_had(self):
        holds = study(1, s1=[1, 2, 3, 4], s2=[1, 2])
        a, b = self.archive(holds), self.archive(holds)
        a.dies_after = 2
        outcome = self.move(self.merged(a, b), QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual((outcome.status, outcome.counts), (0, {"completed": 6, "failed": 0, "warning": 0}), str(outcome))
        self.assertEqual(sorted(b.given), sorted(uids(holds)))

    def test_what_a_dying_archive_had_alone_counts_as_failed(self):
        a, b = self.archive(study(1, s1=[1, 2, 3, 4, 5])), self.archive(study(1, s2=[1, 2]))
        a.dies_after = 2
        outcome = self.move(self.merged(a, b), QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual((outcome.status, outcome.counts), (0xB000, {"completed": 4, "failed": 3, "warning": 0}), str(outcome))
        self.assertIn("pacs1", outcome.comment)

    def test_failed_instances_are_listed_together(self):
        a, b = self.archive(study(1, s1=[1, 2])), self.archive(study(1, s2=[1, 2]))
        a.fails, b.fails = ["1.2.1.1.1"], ["1.2.1.2.1", "1.2.1.2.2"]
        outcome = self.move(self.merged(a, b), QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual((outcome.status, outcome.counts), (0xB000, {"completed": 1, "failed": 3, "warning": 0}), str(outcome))
        listed = read(outcome.final.data, EXPLICIT)["FailedSOPInstanceUIDList"].split("\\")
        self.assertEqual(sorted(listed), ["1.2.1.1.1", "1.2.1.2.1", "1.2.1.2.2"])

    def test_when_everything_failed_so_did_the_request(self):
        a, b = self.archive(study(1, s1=[1])), self.archive(study(1, s2=[1]))
        a.fails, b.fails = uids(a.holds), uids(b.holds)
        outcome = self.move(self.merged(a, b), QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual((outcome.status, outcome.counts["failed"]), (0xA702, 2), str(outcome))

    def test_an_archive_that_answers_no_queries_gets_the_request_as_it_is(self):
        a = self.archive(study(1, s1=[1, 2]))
        for mute in (self.archive(study(1, s2=[1])), self.archive(study(1, s2=[1]), classes=[STUDY_ROOT_MOVE])):
            mute.mute_below = "PATIENT"
            outcome = self.move(self.merged(a, mute, services=["move"]), QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
            self.assertEqual((outcome.status, outcome.counts["completed"]), (0, 3), str(outcome))
            self.assertEqual(mute.asked_for(dicom.C_MOVE_RQ), [("STUDY", ["1.2.1"])])

    def test_what_cannot_be_told_apart_comes_from_each_rather_than_not_at_all(self):
        a, b = self.archive(study(1, s1=[1, 2])), self.archive(study(1, s1=[2, 3]))
        a.mute_below = b.mute_below = "STUDY"
        outcome = self.move(self.merged(a, b), QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual((outcome.status, outcome.counts["completed"]), (0, 4), str(outcome))
        self.assert_given_once([*uids(a.holds), *uids(b.holds)], a, b)

    def test_an_archive_that_is_away_makes_a_warning_or_a_failure_but_no_success(self):
        a = self.archive(study(1, s1=[1, 2]))
        gateway = self.merged(a, free_port())
        outcome = self.move(gateway, QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual((outcome.status, outcome.counts["completed"]), (0xB000, 2), str(outcome))
        self.assertIn("pacs2", outcome.comment)
        outcome = self.move(gateway, QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.9")
        self.assertEqual(outcome.status, 0xA701, str(outcome))

    def test_a_cancelled_retrieval_ends_with_what_has_come(self):
        for is_get in (False, True):
            a, b = self.archive(study(1, s1=[1, 2, 3])), self.archive(study(1, s2=[1, 2]))
            a.pause = b.pause = threading.Event()
            gateway = self.merged(a, b)
            keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.1"}
            outcome = self.getter(gateway).get(STUDY_ROOT_GET, cancel_after=1, **keys) if is_get else self.move(gateway, cancel_after=1, **keys)
            self.assertEqual(outcome.status, 0xFE00, str(outcome))
            self.assertEqual(outcome.counts["completed"], 1)
            self.assertEqual(outcome.counts["remaining"], 4)
            self.assertEqual((len(a.given + b.given), len(a.cancels + b.cancels)), (1, 1))

    def test_a_client_that_leaves_stops_it(self):
        a, b = self.archive(study(1, s1=[1, 2, 3])), self.archive(study(1, s2=[1, 2]))
        a.pause = b.pause = threading.Event()
        gateway = self.merged(a, b)
        client = self.client(gateway, [STUDY_ROOT_MOVE])
        client.ask(dicom.C_MOVE_RQ, STUDY_ROOT_MOVE, data_of(EXPLICIT, QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1"), f0600="DEST")
        client.next()
        client.close()
        wait_until(lambda: any(one.ended == "abort" for one in a.associations + b.associations), "the archive is told")
        self.assertEqual(len(a.given + b.given), 1)

    def test_pending_responses_that_nobody_reads_take_no_memory(self):
        def move(call):
            for number in range(100000):
                if number % 64 == 0:
                    yield None
                yield Answer(0xFF00, None, {0x1020: min(100000 - number, 65535), 0x1021: min(number, 65535), 0x1022: 0, 0x1023: 0})
            yield Answer(0x0000, None, {0x1021: 65535, 0x1022: 0, 0x1023: 0})
        for more in ((), (self.archive(),)):
            one = self.service({dicom.C_MOVE_RQ: move})
            gateway = self.merged(one, *more, services=["move"], workers=1, log={"level": "info", "format": "json"})
            client = self.client(gateway, [STUDY_ROOT_MOVE])
            asked = client.ask(dicom.C_MOVE_RQ, STUDY_ROOT_MOVE, data_of(EXPLICIT, QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2"),
                               f0600="DEST")
            wait_until(lambda: one.asked(dicom.C_MOVE_RQ), "it is asked")
            before = gateway.memory("VmRSS")
            wait_until(lambda: one.asked(dicom.C_MOVE_RQ)[0].over, "it has said everything")
            self.assert_grown_less(gateway, before, 8 << 20)
            outcome = client.finish(asked)
            self.assertEqual((outcome.status, outcome.counts["completed"]), (0, 65535))
            self.assertLess(len(outcome.pending), 100000)  # more than sockets hold

    def test_each_archive_is_told_the_title_that_it_knows(self):
        a, b = self.archive(study(1, s1=[1])), self.archive(study(1, s2=[1]))
        declarations = [f'node "pacs1" {{ host = "127.0.0.1", port = {a.port}, ae_title = "PACS1", as = {{ move = {{ WS1 = "AT_ONE" }} }} }}',
                        f'node "pacs2" {{ host = "127.0.0.1", port = {b.port}, ae_title = "PACS2", as = {{ move = {{ WS1 = "AT_TWO" }} }} }}',
                        'route "move" { when = { service = "move" }, to = { "pacs1", "pacs2" } }']
        gateway = self.gateway(*declarations)
        outcome = self.move(gateway, destination="WS1", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        self.assertEqual(outcome.status, 0, str(outcome))
        self.assertEqual([dicom.text(one.asked(dicom.C_MOVE_RQ)[0].command[0x0600]) for one in (a, b)], ["AT_ONE", "AT_TWO"])


del Merging
