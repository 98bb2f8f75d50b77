"""Everything at once, at random: queries and retrievals over three archives, with clients that cancel, leave or do not read, and archives that fail.

Nothing that is counted has to come out; the gateway lives, serves the next client as if nothing had happened, and ends cleanly.
"""

import random
import threading
import time

import dicom
import harness
from archives import identifier, image, series_uid, study_uid
from dicom import CT, EXPLICIT
from harness import Case, node, services, wait_until
from peer_archive import ScriptedArchive
from peer_client import Client, getting
from peer_data import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from peer_service import Answer
from sender import contexts_of

STUDIES, IMAGES, CLIENTS, SECONDS = 12, 6, 8, 4


class Storm(Case):
    seconds = 120

    def setUp(self):
        self.seed = random.randrange(1 << 30)
        chance = random.Random(self.seed)
        self.destination = self.sink(ae_title="DEST", keep=False)
        self.archives = []
        for number in range(3):
            held = [image("ADAM", study, 1, at, size=256 << chance.randrange(8)) for study in range(1, STUDIES + 1)
                    for at in range(1, IMAGES + 1) if chance.random() < 0.6]
            archive = ScriptedArchive(held, title=f"A{number}", hosts={"DEST": self.destination.port})
            self.addCleanup(self._stop_sink, archive)
            self.archives.append(archive)
        self.gateway_ = self.gateway(*(node(a.title.lower(), a) for a in self.archives),
                                     *services(["a0", "a1", "a2"], "find", "move", "get"),
                                     timeouts={"response": "300ms", "retrieve": "600ms", "association": "1s"}, workers=2)

    def misbehave(self, chance):
        lock = threading.Lock()

        def before(call, number):
            with lock:
                dice = chance.random()
            if dice < 0.90:
                return None
            if dice < 0.94:
                return "wait"
            return chance.choice(["abort", "close", "reset", "never", Answer(0xA700), Answer(0xC001), Answer(0xB000), Answer(0)])
        return before

    def client_loop(self, seed, until):
        chance = random.Random(seed)
        while time.monotonic() < until:
            client = None
            try:
                client = self.one_association(chance)
                client.on_request = lambda message: chance.choice([0, 0, 0, 0, 0xB000, 0xA700])
                for _ in range(chance.randrange(1, 6)):
                    self.one_request(client, chance)
                chance.choice([client.release, client.abort, client.close, client.reset])()
            except (dicom.Ended, OSError):  # a time-out too: of an association that is full of nobody's data
                pass
            finally:
                if client:
                    client.close()
                self.served[seed] = self.served.get(seed, 0) + 1

    def one_association(self, chance):
        pairs, roles = getting([CT], [EXPLICIT])
        pairs += [(STUDY_ROOT_FIND, [EXPLICIT]), (STUDY_ROOT_MOVE, [EXPLICIT])]
        window = chance.choice([None, (3, 1)])
        return Client(self.gateway_.port, contexts=contexts_of(pairs), roles=roles, window=window, seconds=15 * harness.SLOW)

    def one_request(self, client, chance):
        study = study_uid(chance.randrange(1, STUDIES + 3))
        cancel = chance.choice([None, None, 1, 2, 5])
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": chance.choice([study, f"{study}\\{study_uid(2)}"])}
        kind = chance.randrange(5)
        if kind < 2:
            client.find(STUDY_ROOT_FIND, cancel_after=cancel, **identifier(
                *chance.choice([("STUDY",), ("SERIES",), ("IMAGE",)]), StudyInstanceUID=study, SeriesInstanceUID=series_uid(1, 1)))
        elif kind == 2:
            client.get(STUDY_ROOT_GET, cancel_after=cancel, **keys)
        elif kind == 3:
            client.move(STUDY_ROOT_MOVE, "DEST", cancel_after=cancel, **keys)
        else:  # asks, and does not wait for what comes: the association ends in the middle of it
            client.ask(dicom.C_FIND_RQ, STUDY_ROOT_FIND, client._identifier(STUDY_ROOT_FIND, identifier("STUDY")))
            raise dicom.Ended("enough")

    def test_a_storm_of_queries_retrievals_cancels_and_losses(self):
        self.served = {}
        for number, archive in enumerate(self.archives):
            archive.before = self.misbehave(random.Random(self.seed + number))
        until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=self.client_loop, args=(self.seed + 100 + n, until)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60 * harness.SLOW)
        self.assertTrue(self.gateway_.alive(), f"seed {self.seed}")
        self.assertGreater(sum(self.served.values()), CLIENTS)
        for archive in self.archives:
            archive.before = lambda call, number: None
        everything = {study_uid(n) for n in range(1, STUDIES + 1)}

        def is_whole():
            client = self.client(self.gateway_, [STUDY_ROOT_FIND])
            outcome = client.find(STUDY_ROOT_FIND, **identifier("STUDY"))
            client.release()
            return outcome.status == 0 and {a["StudyInstanceUID"] for a in outcome.answers} == everything
        wait_until(is_whole, f"all archives answer again, seed {self.seed}", 20)
