"""What the queue gives back while something in it waits."""

import json
import os
import time

from dicom import make_instance
from harness import SLOW, files_under, folder, free_port, hilum, node, wait_until
from test_queue import Queued, uids

KIB, MIB = 1 << 10, 1 << 20


class Space(Queued):
    def test_one_node_that_is_away_does_not_fill_the_queue_for_others(self):
        """A third of 60 MiB waits in a queue of 40 MiB; each segment holds some of it. The others have theirs, and that is given back."""
        port = free_port()
        there = [self.sink(), self.sink()]
        titles = ("ONE", "TWO", "AWAY")
        gateway = self.start(node("one", there[0]), node("two", there[1]), node("away", port),
                             *(f'route "{title}" {{ when = {{ calling = "CT-{title}" }}, copy = "{title.lower()}" }}' for title in titles),
                             spool={"path": "$FOLDER/spool", "max_bytes": "40MiB", "reserve": "1MiB"})
        senders = [self.sender(gateway, calling=f"CT-{title}") for title in titles]
        sent = {title: [] for title in titles}
        for _ in range(50):
            for title, sender in zip(titles, senders):
                one = make_instance(400 * KIB)
                self.stored(sender, one)
                sent[title].append(one)
        for sink, title in zip(there, titles):
            self.arrived(sink, sent[title])
        self.assertGreater(self.taken(gateway), sum(len(one.data) for one in sent["AWAY"]))
        self.is_told(gateway, "ONE", sent["ONE"][0])
        gateway.kill()
        gateway.start()
        away = self.sink(port=port)
        self.arrived(away, sent["AWAY"], 60)
        self.assertEqual([len(uids(sink)) for sink in there], [50, 50])
        wait_until(lambda: self.taken(gateway) < MIB, "all of it is given back", 30)

    def stored(self, sender, one):
        """As modalities do: what the queue has no room for now is tried again."""
        limit = time.monotonic() + 20 * SLOW
        while (answer := sender.store(one)).status & 0xFF00 == 0xA700 and time.monotonic() < limit:
            time.sleep(0.05)
        self.assert_stored(answer)

    def taken(self, gateway):
        """Of the disk, by segments."""
        bytes = 0
        for path in files_under(os.path.join(gateway.folder, "spool")):
            try:
                bytes += os.stat(path).st_blocks * 512 if path.endswith(".log") else 0
            except FileNotFoundError:
                pass  # given back meanwhile
        return bytes

    def is_told(self, gateway, title, one):
        """Of what was given back: its history is there, its bytes are not."""
        rows = json.loads(hilum("queue", gateway.config, "list", "--state", "delivered", "--instance", one.uid, "--json").stdout)
        number, out = rows["entries"][0]["id"], os.path.join(gateway.folder, "out")
        for verb, words in ((("retry",), "was delivered"), (("export", "--out", out), "not in the queue any more")):
            done = hilum("queue", gateway.config, verb[0], number, *verb[1:])
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
