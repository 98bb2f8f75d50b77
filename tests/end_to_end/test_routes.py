"""Where an instance goes: conditions, final routes, several destinations."""

import dicom
from dicom import CT, EXPLICIT, MR, make_instance
from harness import Case, Gateway, files_under, folder, free_port, node, route
from sender import Sender

# Conditions; what the sender is; whether the route holds. The sender is SENDER from 127.0.0.1, calls HILUM, stores a CT 1.2.3.4.
CONDITIONS = [
    ({}, True, "no condition always holds"),
    ({"calling": "SENDER"}, True, "a title"),
    ({"calling": "sender"}, False, "titles are told apart by case"),
    ({"calling": "SEND"}, False, "a part is not the whole"),
    ({"calling": "SEND*"}, True, "a star"),
    ({"calling": "S?ND*R"}, True, "a question mark"),
    ({"calling": "SENDER?"}, False, "a question mark is one character"),
    ({"calling": ["CT1", "SENDER"]}, True, "a list: any of them"),
    ({"calling": ["CT1", "CT2*"]}, False, "a list: none of them"),
    ({"calling": {"no": "SENDER"}}, False, "negated"),
    ({"calling": {"no": ["CT1", "CT2"]}}, True, "a negated list"),
    ({"called": "HILUM"}, True, "the called title"),
    ({"called": "OTHER"}, False, "another called title"),
    ({"remote": "127.0.0.1"}, True, "an address"),
    ({"remote": "127.0.0.0/8"}, True, "a block"),
    ({"remote": ["10.0.0.0/8", "127.0.0.1/32"]}, True, "a list of blocks"),
    ({"remote": "10.0.0.0/8"}, False, "another block"),
    ({"remote": {"no": "127.0.0.1"}}, False, "a negated address"),
    ({"listener": "main"}, True, "the listener's name"),
    ({"listener": "other"}, False, "another listener"),
    ({"SOPClassUID": CT}, True, "the SOP class"),
    ({"SOPClassUID": [MR, "1.2.840.10008.5.1.4.1.1.2*"]}, True, "a glob over SOP classes"),
    ({"SOPClassUID": MR}, False, "another SOP class"),
    ({"SOPInstanceUID": "1.2.3.*"}, True, "the SOP instance"),
    ({"SOPInstanceUID": {"no": "1.2.3.4"}}, False, "not this instance"),
    ({"calling": "SENDER", "SOPClassUID": MR}, False, "every key must hold"),
    ({"calling": "SENDER", "SOPClassUID": CT, "called": "H*"}, True, "every key holds"),
    ({"service": "store"}, True, "the service"),
    ({"service": "echo"}, False, "another service"),
]


class Conditions(Case):
    def outcome(self, gateway, instance):
        """"stored", or "refused" if any step says so."""
        try:
            with Sender(gateway.port, [(CT, [EXPLICIT])]) as sender:
                if not sender.accepted:
                    return "refused"
                answer = sender.store(instance)
        except dicom.Rejected:
            return "refused"
        if answer.status == 0:
            return "stored"
        self.assertEqual(answer.status, 0x0124, str(answer))
        return "refused"

    def test_a_route_holds_when_every_key_of_its_condition_does(self):
        sink = self.sink()
        for when, holds, why in CONDITIONS:
            with self.subTest(why, when=when):
                gateway = Gateway(node("a", sink), route("tested", to="a", when=when), listen=[{"name": "main"}])
                try:
                    instance = make_instance(100, uid="1.2.3.4")
                    before = len(sink.messages)
                    self.assertEqual(self.outcome(gateway, instance), "stored" if holds else "refused")
                    self.assertEqual(len(sink.messages) - before, 1 if holds else 0)
                    self.assertEqual(gateway.stop(), [])
                finally:
                    gateway.stop()
                    gateway.remove()

    def test_two_listeners_are_told_apart_and_the_default_name_is_the_port(self):
        a, b = self.sink(), self.sink()
        first, second = free_port(), free_port()
        gateway = self.gateway(node("a", a), node("b", b), route("a", to="a", when={"listener": "modalities"}),
                               route("b", to="b", when={"listener": str(second)}),
                               listen=[{"name": "modalities", "port": first}, f'listen "127.0.0.1:{second}"'])
        for port, sink in ((first, a), (second, b)):
            one = make_instance()
            self.assert_stored(self.sender(port).store(one))
            self.assertEqual(sink.uids, [one.uid])
        self.assertTrue(gateway.alive())

    def test_senders_are_told_apart_by_their_address(self):
        a, b = self.sink(), self.sink()
        gateway = self.gateway(node("a", a), node("b", b), route("a", to="a", when={"remote": "127.0.0.2"}),
                               route("b", to="b", when={"remote": {"no": "127.0.0.2"}}))
        self.assert_stored(self.sender(gateway, source="127.0.0.2").store(make_instance()))
        self.assertEqual((len(a.messages), len(b.messages)), (1, 0))
        self.assert_stored(self.sender(gateway, source="127.0.0.3").store(make_instance()))
        self.assertEqual((len(a.messages), len(b.messages)), (1, 1))

    def test_titles_are_compared_without_their_padding(self):
        sink = self.sink()
        gateway = self.gateway(node("a", sink), route("title", to="a", when={"calling": "CT 1"}))
        for padded in (b"CT 1            ", b"  CT 1          ", b"CT 1" + bytes(12)):
            with self.subTest(padded):
                self.assert_stored(self.sender(gateway, calling=padded).store(make_instance()))
        self.assertEqual(len(sink.messages), 3)


class Destinations(Case):
    def setUp(self):
        self.sinks = {name: self.sink() for name in "abc"}
        self.nodes = [node(name, sink) for name, sink in self.sinks.items()]

    def store(self, *routes, instance=None):
        """Which sinks got the instance, and the answer."""
        gateway = self.gateway(*self.nodes, *routes)
        instance = instance or make_instance(70_000)
        answer = self.sender(gateway).store(instance)
        for sink in self.sinks.values():
            self.assertTrue(all(m.data == instance.data for m in sink.messages))
        return "".join(name for name, sink in self.sinks.items() for _ in sink.messages), answer

    def test_every_route_that_holds_contributes(self):
        got, answer = self.store(route("1", to="a"), route("2", to="b"), route("3", to="c", when={"calling": "X"}))
        self.assertEqual((got, answer.status), ("ab", 0))

    def test_after_a_final_route_that_holds_no_other_is_looked_at(self):
        got, answer = self.store(route("1", to="a"), route("2", to="b", final=True), route("3", to="c"))
        self.assertEqual((got, answer.status), ("ab", 0))

    def test_a_final_route_that_does_not_hold_ends_nothing(self):
        got, answer = self.store(route("1", to="a", final=True, when={"calling": "X"}), route("2", to="b"))
        self.assertEqual((got, answer.status), ("b", 0))

    def test_a_final_route_by_instance_ends_the_others_for_that_instance_alone(self):
        gateway = self.gateway(*self.nodes, route("1", to="a", final=True, when={"SOPInstanceUID": "1.2.3*"}),
                               route("2", to="b"))
        sender = self.sender(gateway)
        self.assert_stored(sender.store(make_instance(uid="1.2.3.1")))
        self.assert_stored(sender.store(make_instance(uid="2.25.1")))
        self.assertEqual([self.sinks["a"].uids, self.sinks["b"].uids], [["1.2.3.1"], ["2.25.1"]])

    def test_one_route_goes_to_several_destinations(self):
        got, answer = self.store(route("1", to=["c", "a"]))
        self.assertEqual((got, answer.status), ("ac", 0))

    def test_a_node_that_two_routes_name_gets_the_instance_once(self):
        got, answer = self.store(route("1", to=["a", "b"]), route("2", to=["b", "a"]))
        self.assertEqual((got, answer.status), ("ab", 0))

    def test_an_instance_that_no_route_takes_is_refused_with_0124_and_a_comment(self):
        got, answer = self.store(route("1", to="a", when={"SOPInstanceUID": "9.9"}))
        self.assertEqual((got, answer.status), ("", 0x0124))
        self.assertTrue(answer.comment)

    def test_an_instance_does_not_go_back_to_the_node_it_came_from(self):
        gateway = self.gateway(*self.nodes, route("1", to=["a", "b"]))
        sender = self.sender(gateway, calling="A")  # node a: this address, this title
        self.assert_stored(sender.store(make_instance()))
        self.assertEqual((len(self.sinks["a"].messages), len(self.sinks["b"].messages)), (0, 1))

    def test_an_instance_that_could_only_go_back_is_refused_with_0124(self):
        gateway = self.gateway(*self.nodes, route("1", to="a"))
        try:
            sender = self.sender(gateway, calling="A")
            if sender.accepted:
                self.assertEqual(sender.store(make_instance()).status, 0x0124)
        except dicom.Rejected:
            pass
        self.assertEqual(self.sinks["a"].messages, [])

    def test_a_folder_and_a_node_both_get_it(self):
        gateway = self.gateway(*self.nodes, folder("disk", "$FOLDER/out/{SOPInstanceUID}.dcm"),
                               route("1", to=["a", "disk"]))
        instance = make_instance(200_000)
        self.assert_stored(self.sender(gateway).store(instance))
        self.assertEqual(self.sinks["a"].messages[0].data, instance.data)
        files = files_under(gateway.folder + "/out")
        self.assertEqual([dicom.read_file(f).data for f in files], [instance.data])
