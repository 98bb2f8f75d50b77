"""What arrives is what was sent, byte for byte, whoever sends and whoever receives."""

import dicom
from dicom import DEFLATED, EXPLICIT, JPEG, JPEG_2000, SECONDARY_CAPTURE, make_instance
from harness import (QUICK, SAMPLES, Case, Orthanc, dcmqrscp, node, pairs_of, route, same_data, samples, storescp, tool)

MASKED = {"HILUM_IO_FEATURES": "6.1"}  # newer kernel features are left unused


def storage_samples():
    """Every sample; those of a class that is no storage class travel as secondary captures, their bytes as they are."""
    found = samples()
    for one in found:
        if one.sop_class == "1.2.840.10008.1.3.10":  # media storage directory
            one.sop_class = SECONDARY_CAPTURE
    return found


def sample_files(*transfers):
    """Paths of samples in these transfer syntaxes that DCMTK sends without complaint, each instance once."""
    by_uid = {}
    for one in samples():
        whole = len(one.data) % 2 == 0 and "truncated" not in one.path and one.meta.get(0x0002)
        plain = one.transfer == dicom.IMPLICIT or one.data[4:6].isalpha()  # some claim explicit VR and have none
        known = one.sop_class != "1.2.840.10008.1.3.10" and not one.uid.startswith(("1.1.", "1.9."))
        if one.transfer in transfers and whole and plain and known:
            by_uid.setdefault(one.uid, one.path)
    return sorted(by_uid.values())


def held_by(peer):
    return {i.uid: (i.transfer, i.data) for i in peer.instances()}


class Samples(Case):
    def send_all(self, sinks):
        gateway = self.gateway(*[node(f"n{i}", sink) for i, sink in enumerate(sinks)],
                               route("all", to=[f"n{i}" for i in range(len(sinks))]))
        instances = storage_samples()
        self.assertGreater(len(instances), 140)
        sender = self.sender(gateway, pairs_of(instances))
        for one in instances:
            self.assert_stored(sender.store(one))
        sender.release()
        for sink in sinks:
            self.assertEqual(len(sink.messages), len(instances))
            for sent, got in zip(instances, sink.messages):
                self.assertTrue(same_data(sent.data, got.data), sent.path)
                self.assertEqual((got.transfer, got.abstract, got.uid), (sent.transfer, sent.sop_class, sent.uid))

    def test_every_sample_file_arrives_byte_for_byte_in_its_own_transfer_syntax(self):
        self.send_all([self.sink()])

    def test_a_fan_out_to_four_gives_four_equals(self):
        self.send_all([self.sink(max_length=m) for m in (16384, 16382, 262144, 0)])


class SamplesMasked(Samples):
    suffix = " (with the features of kernel 6.1)"
    environment = MASKED


class DataSets(Case):
    def test_an_odd_data_set_gains_one_NUL_and_nothing_else(self):
        gateway, sink = self.simple()
        odd = make_instance(transfer=DEFLATED)
        odd.data = odd.data[:-1]
        sender = self.sender(gateway, [(odd.sop_class, [DEFLATED])])
        self.assert_stored(sender.store(odd))
        self.assertEqual(sink.messages[0].data, odd.data + b"\0")

    def test_an_instance_of_three_megabytes_of_arbitrary_bytes_arrives_unread(self):
        gateway, sink = self.simple()
        noise = make_instance(3 << 20)
        noise.data = noise.data[::-1]  # no data set at all
        sender = self.sender(gateway)
        self.assert_stored(sender.store(noise))
        self.assertEqual(sink.messages[0].data, noise.data)

    def test_instances_of_every_small_size_arrive_whole(self):
        gateway, sink = self.simple()
        sender = self.sender(gateway)
        for size in (2, 4, 100, 16376, 16378, 16380, 65534, 65536, 65538):
            one = make_instance(2)
            one.data = (one.data * size)[:size]
            self.assert_stored(sender.store(one))
            self.assertEqual(sink.messages[-1].data, one.data, f"{size} bytes")


class Tools(Case):
    """Through the gateway arrives what the same tool delivers direct to the same peer."""

    def compare(self, send, *options, server=storescp):
        """Runs send(port, environment) direct and through a gateway, each into a server of its own."""
        direct, relayed = self.peer(server, *options, environment=QUICK), self.peer(server, *options)
        gateway = self.gateway(node("server", relayed, ae_title=server.__name__.upper()), route("all", to="server"))
        send(direct.port, QUICK)
        send(gateway.port, None)
        expected = held_by(direct)
        self.assertTrue(expected, "nothing arrived even without the gateway")
        self.assertEqual(sorted(held_by(relayed)), sorted(expected))
        self.assertEqual(held_by(relayed), expected)

    def test_storescu_with_its_default_proposals_into_storescp(self):
        files = sample_files(EXPLICIT, dicom.IMPLICIT)
        self.compare(lambda port, env: tool("storescu", "-nh", "127.0.0.1", port, *files, environment=env))

    def test_storescu_with_jpeg_2000_into_storescp(self):
        files = sample_files(JPEG_2000)
        self.compare(lambda port, env: tool("storescu", "-R", "-xw", "127.0.0.1", port, *files, environment=env), "+xa")

    def test_storescu_with_jpeg_and_combined_contexts_into_storescp(self):
        files = sample_files(JPEG)
        self.compare(lambda port, env: tool("storescu", "-R", "-xy", "+C", "127.0.0.1", port, *files, environment=env), "+xy")

    def test_dcmsend_with_every_transfer_syntax_into_storescp(self):
        files = sample_files(EXPLICIT, dicom.IMPLICIT, JPEG, JPEG_2000, dicom.JPEG_LOSSLESS, "1.2.840.10008.1.2.5")
        self.compare(lambda port, env: tool("dcmsend", "-nh", "-nuc", "127.0.0.1", port, *files, environment=env), "+xa")

    def test_gdcmscu_into_storescp(self):
        """Debian's gdcmscu ends with an exception of its own after every release, so its exit status says nothing."""
        self.compare(lambda port, env: tool("gdcmscu", "--store", "127.0.0.1", port, SAMPLES + "/CT_small.dcm", check=False,
                                            environment=env))

    def test_storescu_into_dcmqrscp(self):
        files = sample_files(EXPLICIT)[:20]
        self.compare(lambda port, env: tool("storescu", "-aec", "DCMQRSCP", "127.0.0.1", port, *files, environment=env),
                     server=dcmqrscp)


class OrthancBothWays(Case):
    def data_sets(self, orthanc):
        files = {}
        for uid, raw in orthanc.files().items():
            path = f"{orthanc.folder}/{uid}"
            with open(path, "wb") as f:
                f.write(raw)
            files[uid] = (dicom.read_file(path).transfer, dicom.read_file(path).data)
        return files

    def compare(self, send):
        direct, relayed = self.peer(Orthanc, environment=QUICK), self.peer(Orthanc)
        gateway = self.gateway(node("orthanc", relayed), route("all", to="orthanc"))
        send(direct.port, QUICK)
        send(gateway.port, None)
        self.assertTrue(self.data_sets(direct))
        self.assertEqual(self.data_sets(relayed), self.data_sets(direct))

    def test_orthanc_sends_what_it_sends_without_us(self):
        orthanc, direct = self.peer(Orthanc, environment=QUICK), self.sink()
        gateway, relayed = self.simple()
        for path in sample_files(EXPLICIT, dicom.IMPLICIT, JPEG, JPEG_2000)[:40]:
            with open(path, "rb") as f:
                orthanc.get("/instances", f.read())
        orthanc.send_all_to(direct.port)
        orthanc.send_all_to(gateway.port)
        self.assertGreater(len(direct.messages), 20)
        self.assertEqual({m.uid: (m.transfer, m.data) for m in relayed.messages},
                         {m.uid: (m.transfer, m.data) for m in direct.messages})

    def test_storescu_into_orthanc(self):
        files = sample_files(EXPLICIT, dicom.IMPLICIT)[:40]
        self.compare(lambda port, env: tool("storescu", "-nh", "127.0.0.1", port, *files, environment=env))

    def test_dcmsend_with_compressed_files_into_orthanc(self):
        files = sample_files(JPEG, JPEG_2000, dicom.JPEG_LOSSLESS)
        self.compare(lambda port, env: tool("dcmsend", "-nh", "-nuc", "127.0.0.1", port, *files, check=False, environment=env))
