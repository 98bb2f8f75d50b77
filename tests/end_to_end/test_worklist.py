"""The modality worklist through the gateway: DCMTK's wlmscpfs behind it, findscu and a scripted device in front."""

import re

import archives
import dicom
from archives import WORKLIST, ask_worklist, worklist_keys
from dicom import C_FIND_RQ, EXPLICIT, IMPLICIT, N_CREATE_RQ, N_SET_RQ
from harness import QUICK, Case, Lua, node, route, services, tool, wait_until
from peer_data import MPPS, WORKLIST_FIND, data_of
from peer_service import answering, endless

# The site's names go out, the hospital's come in.
TO_US = Lua('function (ds) ds.PatientName = tostring(ds.PatientName or ""):gsub("^SITE7%-", "") '
            'ds.PatientID = tostring(ds.PatientID or ""):gsub("^S7%-", "") end')
TO_SITE = Lua('function (ds) ds.PatientName = "SITE7-" .. ds.PatientName ds.PatientID = "S7-" .. ds.PatientID end')


def names(outcome):
    return sorted(answer["PatientName"] for answer in outcome.answers)


class Worklist(Case):
    def setUp(self):
        self.peer_ = self.peer(archives.worklist)

    def gateway_to(self, *more, **keys):
        return self.gateway(node("ris", self.peer_, ae_title="WORKLIST"), *services("ris", "worklist", **keys), *more)

    def test_answers_are_what_the_worklist_answers_without_us(self):
        gateway = self.gateway_to()
        for step in ({}, {"Modality": "CT"}, {"Modality": "CR"}, {"ScheduledProcedureStepStartDate": "20250101-20250131"}):
            with self.subTest(step):
                direct, through = ask_worklist(self.peer_.port, **step), ask_worklist(gateway.port, **step)
                self.assertEqual((through.status, through.answers), (direct.status, direct.answers))
                self.assertEqual([one.status for one in through.pending], [one.status for one in direct.pending])
        self.assertEqual(len(ask_worklist(gateway.port).answers), len(WORKLIST))

    def test_findscu_sees_it(self):
        gateway = self.gateway_to()
        keys = ("-k", "0010,0010", "-k", "(0040,0100)[0].Modality=CT", "-k", "(0040,0100)[0].ScheduledProcedureStepID")
        direct, through = (tool("findscu", "-W", "-aec", "WORKLIST", *keys, "127.0.0.1", port, environment=QUICK).stdout
                           for port in (self.peer_.port, gateway.port))
        found = re.findall(r"\(0010,0010\) PN \[(\w+)\^TEST", through)
        self.assertEqual(sorted(found), ["ADAM", "CARL"])
        self.assertEqual(found, re.findall(r"\(0010,0010\) PN \[(\w+)\^TEST", direct))

    def test_a_renamed_patient_is_renamed_in_the_answers_and_found_by_the_new_name(self):
        gateway = self.gateway_to(morph=TO_US, morph_response=TO_SITE)
        everyone = ask_worklist(gateway.port)
        self.assertEqual(names(everyone), sorted(f"SITE7-{name}^TEST" for name, _ in WORKLIST))
        self.assertEqual({answer["PatientID"] for answer in everyone.answers}, {f"S7-{name}-1" for name, _ in WORKLIST})
        one = ask_worklist(gateway.port, patient="SITE7-BETA*")
        self.assertEqual(names(one), ["SITE7-BETA^TEST"])
        self.assertEqual(one.answers[0]["AccessionNumber"], "ACC2")
        said = tool("findscu", "-W", "-aec", "WORKLIST", "-k", "0010,0010", "-k", "0010,0020", "127.0.0.1", gateway.port,
                    environment=QUICK).stdout
        self.assertEqual(said.count("[SITE7-"), len(WORKLIST), said)

    def test_a_cancel_stops_a_worklist(self):
        service = self.service({C_FIND_RQ: endless(lambda n: data_of(EXPLICIT, PatientID=str(n)))})
        gateway = self.gateway(node("ris", service), *services("ris", "worklist"))
        outcome = self.client(gateway, [WORKLIST_FIND]).find(WORKLIST_FIND, cancel_after=3, **worklist_keys())
        self.assertEqual(outcome.status, 0xFE00)
        self.assertEqual(len(service.cancels), 1)


class Device(Case):
    def test_a_device_asks_works_and_reports_under_the_sites_names(self):
        """The RIS hears of its own patient and its own study, whatever the device was told (mistake 12)."""
        ris = self.service({N_CREATE_RQ: answering(0), N_SET_RQ: answering(0)})
        back = Lua('function (ds) if ds.PatientID then ds.PatientID = ds.PatientID:gsub("^S7%-", "") end end')
        peer = self.peer(archives.worklist)
        gateway = self.gateway(node("wl", peer, ae_title="WORKLIST"), node("ris", ris),
                               *services("wl", "worklist", morph=TO_US, morph_response=TO_SITE),
                               route("steps", "ris", when={"service": "mpps"}, morph=back))
        device = self.client(gateway, [WORKLIST_FIND, MPPS], [IMPLICIT])
        (item,) = device.find(WORKLIST_FIND, **{**worklist_keys(), "PatientName": "SITE7-CARL*"}).answers
        self.assertEqual(item["PatientID"], "S7-CARL-1")
        begun = data_of(IMPLICIT, PatientID=item["PatientID"], PerformedProcedureStepStatus="IN PROGRESS",
                        ScheduledStepAttributesSequence=[{"StudyInstanceUID": item["StudyInstanceUID"]}])
        uid = dicom.new_uid()
        self.assertEqual(device.call(N_CREATE_RQ, MPPS, begun, f1000=uid).status, 0)
        self.assertEqual(device.call(N_SET_RQ, MPPS, data_of(IMPLICIT, PerformedProcedureStepStatus="COMPLETED"), f1001=uid).status, 0)
        wait_until(lambda: len(ris.calls) == 2, "both are with the RIS")
        seen = [call.values for call in ris.calls]
        self.assertEqual(seen[0]["PatientID"], "CARL-1")
        self.assertEqual(seen[0]["ScheduledStepAttributesSequence"], [{"StudyInstanceUID": archives.study_uid(3)}])
        self.assertEqual([dicom.text(call.command.get(0x1000, call.command.get(0x1001))) for call in ris.calls], [uid, uid])
