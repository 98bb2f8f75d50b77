"""Files as a destination: Part 10, safe names, nothing lost, nothing half-written."""

import datetime
import os
import threading
import time

import pydicom

import dicom
from dicom import CT, DEFLATED, EXPLICIT, IMPLICIT, JPEG_2000, make_instance
from harness import SAMPLES, Case, files_under, folder, node, pairs_of, route, same_data, tool, wait_until
from test_fidelity import storage_samples

PATTERN = "$FOLDER/out/{SOPInstanceUID}.dcm"


class FolderCase(Case):
    def to_folder(self, pattern=PATTERN, *declarations, **settings):
        gateway = self.gateway(folder("disk", pattern), *declarations, route("all", to="disk"), **settings)
        self.out = gateway.folder + "/out"
        return gateway

    def names(self):
        return [os.path.relpath(path, self.out) for path in files_under(self.out)]


class Files(FolderCase):
    def test_a_file_has_the_right_meta_information_and_its_tools_read_it(self):
        gateway = self.to_folder()
        ct = dicom.read_file(SAMPLES + "/CT_small.dcm")
        sender = self.sender(gateway, calling="MODALITY", called="HILUM")
        self.assert_stored(sender.store(ct))
        path = f"{self.out}/{ct.uid}.dcm"
        self.assertEqual(dicom.read_file(path).data, ct.data)
        read = pydicom.dcmread(path)
        meta = read.file_meta
        self.assertEqual(meta.TransferSyntaxUID, EXPLICIT)
        self.assertEqual((meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID), (CT, ct.uid))
        self.assertEqual(meta.SourceApplicationEntityTitle, "MODALITY")
        self.assertEqual(meta.SendingApplicationEntityTitle, "MODALITY")
        self.assertEqual(meta.ReceivingApplicationEntityTitle, "HILUM")
        self.assertEqual(meta.FileMetaInformationVersion, b"\0\1")
        self.assertTrue(meta.ImplementationClassUID)
        self.assertEqual(read.PatientName, pydicom.dcmread(ct.path).PatientName)
        tool("dcmftest", path)
        tool("dcmdump", "-q", path)

    def test_every_sample_file_is_kept_byte_for_byte(self):
        gateway = self.to_folder("$FOLDER/out/{calling}/{SOPInstanceUID}.dcm")
        instances = storage_samples()
        sender = self.sender(gateway, pairs_of(instances))
        for one in instances:
            self.assert_stored(sender.store(one))
        kept = [dicom.read_file(path) for path in files_under(self.out)]
        for sent in instances:
            self.assertTrue(any(same_data(sent.data, k.data) and k.transfer == sent.transfer and k.uid == sent.uid
                                for k in kept), sent.path)

    def test_the_transfer_syntax_is_the_one_of_the_context(self):
        gateway = self.to_folder()
        for transfer in (IMPLICIT, EXPLICIT, JPEG_2000, DEFLATED):
            one = make_instance(50, transfer=transfer)
            self.assert_stored(self.sender(gateway, [(CT, [transfer])]).store(one))
            self.assertEqual(dicom.read_file(f"{self.out}/{one.uid}.dcm").transfer, transfer)

    def test_a_big_instance_is_whole(self):
        gateway = self.to_folder()
        one = make_instance(30 << 20)
        self.assert_stored(self.sender(gateway).store(one))
        self.assertEqual(dicom.read_file(f"{self.out}/{one.uid}.dcm").data, one.data)

    def test_files_written_with_the_features_of_kernel_6_1_are_the_same(self):
        self.environment = {"HILUM_IO_FEATURES": "6.1"}
        self.test_a_big_instance_is_whole()


class Names(FolderCase):
    def test_the_pattern_takes_titles_class_and_date(self):
        gateway = self.to_folder("$FOLDER/out/{calling}/{called}/{date}/{SOPClassUID}/x{SOPInstanceUID}")
        before = datetime.date.today()
        one = make_instance()
        self.assert_stored(self.sender(gateway, calling="CT1").store(one))
        days = {before.strftime("%Y%m%d"), datetime.date.today().strftime("%Y%m%d")}
        self.assertIn(self.names(), [[f"CT1/HILUM/{day}/{CT}/x{one.uid}"] for day in days])

    def test_no_value_leaves_its_folder(self):
        gateway = self.to_folder("$FOLDER/out/{calling}/{SOPInstanceUID}.dcm")
        outside = set(files_under(gateway.folder))
        titles = ["../../up", "a/b", "..", ".", "/etc", ".hidden", "a\\b", "A B", "%s%n", "a\nb", "\x01\x7f"]
        uids = ["../../x", "/tmp/hilum-x", "..", "1.2/3", "", ".", "1.2.3\n4", "$(x)", "x" * 64, "CON", "\xe9\xff"]
        for calling, uid in zip(titles, uids):
            with self.subTest(calling=calling, uid=uid):
                one = make_instance(20)
                one.uid = uid
                sender = self.sender(gateway, calling=calling)
                try:
                    status = sender.store(one).status
                except dicom.Aborted:
                    status = None  # so may a request be met that names no instance
                kept = [i for i in map(dicom.read_file, files_under(self.out)) if i.data == one.data]
                self.assertEqual(len(kept), 1 if status == 0 else 0)
        for path in set(files_under(gateway.folder)) - outside:
            if path.endswith((".dcm")):
                self.assertEqual(os.path.dirname(os.path.dirname(path)), self.out)
        for name in self.names():
            self.assertRegex(name, r"\A[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
        self.assertFalse(os.path.exists("/tmp/hilum-x"))

    def test_the_same_uid_with_the_same_content_is_one_file_and_success(self):
        gateway = self.to_folder()
        sender, one = self.sender(gateway), make_instance(100_000)
        for _ in range(3):
            self.assert_stored(sender.store(one))
        self.assertEqual(self.names(), [f"{one.uid}.dcm"])

    def test_the_same_uid_with_other_content_is_kept_beside(self):
        gateway = self.to_folder()
        sender, uid = self.sender(gateway), dicom.new_uid()
        sent = [make_instance(size, uid=uid, seed=size) for size in (100, 200, 70_000, 200_000)]
        for one in sent:
            self.assert_stored(sender.store(one))
        self.assertIn(f"{uid}.dcm", self.names())
        kept = sorted(dicom.read_file(path).data for path in files_under(self.out))
        self.assertEqual(kept, sorted(one.data for one in sent))

    def test_the_same_uid_from_eight_senders_at_once_loses_none(self):
        gateway = self.to_folder(workers=4)
        uid = dicom.new_uid()
        sent = [make_instance(150_000, uid=uid, seed=i) for i in range(8)]
        statuses = []

        def store(one):
            statuses.append(self.sender(gateway).store(one).status)
        threads = [threading.Thread(target=store, args=(one,)) for one in sent]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(statuses, [0] * 8)
        kept = sorted(dicom.read_file(path).data for path in files_under(self.out))
        self.assertEqual(kept, sorted(one.data for one in sent))

    def test_a_file_that_was_there_before_is_never_replaced(self):
        gateway = self.to_folder()
        one = make_instance()
        os.makedirs(self.out, exist_ok=True)
        with open(f"{self.out}/{one.uid}.dcm", "w") as f:
            f.write("somebody else's")
        self.assert_stored(self.sender(gateway).store(one))
        with open(f"{self.out}/{one.uid}.dcm") as f:
            self.assertEqual(f.read(), "somebody else's")
        self.assertEqual(len(self.names()), 2)


class Failures(FolderCase):
    def test_an_abort_or_a_lost_sender_in_mid_instance_leaves_no_file(self):
        gateway = self.to_folder()
        for how in ("abort", "close", "reset"):
            with self.subTest(how):
                sender = self.sender(gateway)
                context = sender.begin(make_instance())
                sender.data(context, bytes(500_000))
                wait_until(lambda: self.names() or time.sleep(0.05) is None, "the file is being written")
                getattr(sender, how)()
                wait_until(lambda: not self.names(), "no file is left")
        self.assert_stored(self.sender(gateway).store(make_instance()))
        self.assertEqual(len(self.names()), 1)

    def test_an_unfinished_instance_is_not_under_its_name(self):
        gateway = self.to_folder()
        sender, one = self.sender(gateway), make_instance(500_000)
        context = sender.begin(one)
        sender.data(context, one.data[:-100])
        time.sleep(0.2)
        self.assertNotIn(f"{one.uid}.dcm", self.names())
        sender.data(context, one.data[-100:], last=True)
        self.assert_stored(sender.response())
        self.assertEqual(self.names(), [f"{one.uid}.dcm"])

    def test_a_folder_that_cannot_be_written_is_A700_and_names_the_node(self):
        gateway = self.to_folder("$FOLDER/out/{calling}/{SOPInstanceUID}.dcm")
        with open(gateway.folder + "/out/SENDER", "w"):
            pass  # a file where the folder should be
        answer = self.sender(gateway).store(make_instance())
        self.assertEqual(answer.status, 0xA700)
        self.assertIn("disk", answer.comment)

    def test_a_destination_that_fails_leaves_the_file_of_the_other(self):
        sink = self.sink(answer=0xA900)
        gateway = self.gateway(folder("disk", PATTERN), node("a", sink), route("all", to=["disk", "a"]))
        one = make_instance()
        self.assertEqual(self.sender(gateway).store(one).status, 0xA900)
        kept = [dicom.read_file(path).data for path in files_under(gateway.folder + "/out")]
        self.assertIn(kept, ([], [one.data]))
