"""The scripted peers and archives of the other tests, without a gateway between them: what they say of it has to hold without it."""

import os
import re

import archives
import dicom
import harness
import peer_table
from archives import World, comparable, find, identifier, series_uid, study_uid
from dicom import EXPLICIT, IMPLICIT
from harness import Case, storescp, tool
from peer_archive import ScriptedArchive
from peer_client import Client
from peer_data import LEVELS, STUDY_ROOT_MOVE, UNIQUE_KEY, data_of, read

ALL_TYPES = os.path.join(harness.ROOT, "src", "dimse", "command.h")


class Scripted(Case):
    def test_every_type_of_message_passes_between_them(self):
        service = self.service()
        rows = peer_table.table(service.port, service)
        with open(ALL_TYPES) as f:
            fields = re.findall(r"DIMSE_([CN]_\w+_R(?:Q|SP)) = ", f.read())
        self.assertEqual(peer_table.types_of(rows), {name.replace("_", "-") for name in fields})
        self.assertEqual(len(fields), 23)

    def test_a_scripted_archive_answers_as_real_ones_do(self):
        world = self.peer(World, [archives.orthanc])
        (real,) = world.archives
        scripted = ScriptedArchive(real.instances)
        self.addCleanup(self._stop_sink, scripted)
        keys = {"StudyInstanceUID": study_uid(4), "SeriesInstanceUID": series_uid(4, 2)}
        for level, asked in (("STUDY", {}), ("STUDY", {"PatientName": "*A*"}), ("SERIES", {"StudyInstanceUID": study_uid(4)}), ("IMAGE", keys)):
            found = [sorted(map(str, map(comparable, find(one.port, level, **asked).answers))) for one in (real, scripted)]
            self.assertEqual(found[0], found[1])
        got = [archives.get(one.port, QueryRetrieveLevel="SERIES", **keys) for one in (real, scripted)]
        self.assertEqual([(one.status, one.counts) for one in got[:1]], [(one.status, one.counts) for one in got[1:]])
        self.assertEqual(*(sorted((r.text(0x1000), r.data) for r in one.requests) for one in got))

    def test_a_difference_between_them_is_seen(self):
        """Held against a service that is not the one that answers, or answers another thing, every comparison fails."""
        with self.assertRaisesRegex(AssertionError, "0700=1 became|, 0700=1"):
            peer_table.same({0x0100: 1, 0x0700: 0, 0x0800: 1}, {0x0100: 1, 0x0700: 1, 0x0800: 1}, "a request")
        with self.assertRaisesRegex(AssertionError, "4 bytes became one of 2"):
            peer_table.same_data(b"1234", b"12", "a request")

    def test_data_sets_are_read_as_they_are_written_and_as_dcmdump_reads_them(self):
        values = {"PatientName": "A^B", "Rows": 512,
                  "ScheduledProcedureStepSequence": [{"Modality": "CT"}, {"ScheduledProcedureStepID": "STEP 1"}]}
        for transfer in (EXPLICIT, IMPLICIT, dicom.BIG_ENDIAN, dicom.DEFLATED):
            self.assertEqual(read(data_of(transfer, **values), transfer), values)
        path = os.path.join(self.temporary_folder(), "data")
        with open(path, "wb") as f:
            f.write(data_of(IMPLICIT, **values))
        said = tool("dcmdump", "-f", "-ti", path).stdout
        for text in ("[A^B]", "US 512", "[CT]", "[STEP 1]"):
            self.assertIn(text, said)


class Direct(Case):
    """Orthanc and dcmqrscp are what tests take them for."""

    def setUp(self):
        self.destination = self.peer(storescp, title="DEST")
        self.world = self.peer(World, [archives.orthanc, archives.dcmqrscp], {"DEST": self.destination.port})

    def test_each_answers_for_what_was_stored_there_at_every_level(self):
        for archive in self.world.archives:
            held = [read(one.data, one.transfer) for one in archive.instances]
            for root, levels in LEVELS.items():
                for level in levels:
                    above = {UNIQUE_KEY[one]: held[0][UNIQUE_KEY[one]] for one in levels[:levels.index(level)]}
                    with self.subTest(archive=archive.kind, root=root, level=level):
                        expected = {one[UNIQUE_KEY[level]] for one in held if above.items() <= one.items()}
                        answers = archive.find(level, root, **above)
                        self.assertEqual(sorted(a[UNIQUE_KEY[level]] for a in answers), sorted(expected))

    def test_findscu_finds_what_the_scripted_client_finds(self):
        for archive in self.world.archives:
            keys = [f"{key}={value}" for key, value in identifier("STUDY").items()]
            said = tool("findscu", "-S", "-aec", archive.title, *(w for key in keys for w in ("-k", key)), "127.0.0.1",
                        archive.port, environment=harness.QUICK).stdout
            found = {one[1].strip(" \0") for one in re.finditer(r"\(0020,000d\) UI \[([\d.]+)[^]]*\]", said)}
            self.assertEqual(found, {a["StudyInstanceUID"] for a in archive.find("STUDY")})

    def test_each_gives_and_moves_what_it_holds(self):
        for archive in self.world.archives:
            held = [one for one in archive.instances if one.uid.startswith(study_uid(3))]
            keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study_uid(3)}
            got = archive.get(**keys)
            self.assertEqual((got.status, got.counts.get("completed")), (0, len(held)), str(got))
            self.assertEqual({r.text(0x1000) for r in got.requests}, {one.uid for one in held})
            with Client(archive.port, [(STUDY_ROOT_MOVE, [EXPLICIT])], called=archive.title) as client:
                moved = client.move(STUDY_ROOT_MOVE, "DEST", **keys)
            self.assertEqual((moved.status, moved.counts["completed"]), (0, len(held)), str(moved))
        self.assertEqual({one.uid for one in self.destination.instances()}, {one.uid for one in held})

    def test_the_union_is_of_all_of_them(self):
        union = self.world.union("STUDY")
        self.assertEqual(set(union), {study_uid(n) for n in range(1, 9)})
        self.assertEqual([answer["PatientName"] for answer in union[study_uid(4)]], ["DORA^TEST"] * 2)
        for archive in self.world.archives:
            self.assertLess(len(archive.find("STUDY")), len(union))

    def test_a_killed_one_ends_its_associations(self):
        world = self.peer(World, [archives.dcmqrscp])
        client = Client(world.archives[0].port, [(STUDY_ROOT_MOVE, [EXPLICIT])], called="ARCHIVE1")
        world.archives[0].kill()
        self.assertEqual(client.end(), "close")
        client.close()


class Worklist(Case):
    def test_wlmscpfs_has_the_steps(self):
        peer = self.peer(archives.worklist)
        outcome = archives.ask_worklist(peer.port)
        self.assertEqual({a["PatientName"] for a in outcome.answers}, {name + "^TEST" for name, _ in archives.WORKLIST})
        ct = archives.ask_worklist(peer.port, Modality="CT")
        self.assertEqual({a["PatientID"] for a in ct.answers}, {"ADAM-1", "CARL-1"})
        self.assertEqual(ct.answers[0]["ScheduledProcedureStepSequence"][0]["Modality"], "CT")


