"""The DICOM upper layer and DIMSE on plain sockets, written for tests: everything can be said, also what is wrong.

Nothing here is shared with the gateway, so that a mistake there cannot hide behind the same mistake here. References are to
PS3.8 (PDUs), PS3.7 (commands) and PS3.10 (files). sender.py and sink.py are the two roles.
"""

import ctypes
import dataclasses
import random
import socket
import struct
import zlib

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
US = "1.2.840.10008.5.1.4.1.1.6.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
RAW_DATA = "1.2.840.10008.5.1.4.1.1.66"
GE_PRIVATE = "1.2.840.113619.4.30"  # a private storage class that no registry knows
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_2000 = "1.2.840.10008.1.2.4.91"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP, C_FIND_RQ = 0x0001, 0x8001, 0x0030, 0x8030, 0x0020
C_GET_RQ, C_MOVE_RQ, C_CANCEL_RQ = 0x0010, 0x0021, 0x0FFF
N_EVENT_REPORT_RQ, N_GET_RQ, N_SET_RQ, N_ACTION_RQ, N_CREATE_RQ, N_DELETE_RQ = range(0x0100, 0x0160, 0x0010)
COMMAND, LAST = 1, 2  # bits of a PDV's control byte (PS3.8 E.2)
NO_DATA_SET = 0x0101


class Ended(Exception):
    """The other side ended the association otherwise than was awaited."""


class Closed(Ended):
    """The connection was closed or reset without a word."""


class Aborted(Ended):
    def __init__(self, source, reason):
        super().__init__(f"A-ABORT source {source} reason {reason}")
        self.source, self.reason = source, reason


class Rejected(Ended):
    def __init__(self, result, source, reason):
        super().__init__(f"A-ASSOCIATE-RJ result {result} source {source} reason {reason}")
        self.result, self.source, self.reason = result, source, reason


class Released(Ended):
    """A release was asked for where something else was awaited."""


# ---- PDUs and items (PS3.8 9.3, PS3.7 D.3.3)


def pdu(kind, body=b""):
    return struct.pack(">BBI", kind, 0, len(body)) + body


def item(kind, body):
    return struct.pack(">BBH", kind, 0, len(body)) + body


def counted(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def title(value):
    """16 bytes; bytes are taken as they are, text is padded with spaces."""
    return value if isinstance(value, bytes) else value.encode().ljust(16)


def text(raw):
    """A UID, title or comment without its padding."""
    return raw.decode("latin-1").strip(" \0")


def items_of(body):
    """The items in a body: (type, value)."""
    at = 0
    while at < len(body):
        kind, _, length = struct.unpack_from(">BBH", body, at)
        value = body[at + 4:at + 4 + length]
        assert len(value) == length, f"item {kind:02x} reaches past its PDU"
        yield kind, value
        at += 4 + length


@dataclasses.dataclass
class Proposed:
    """A context of a request: several transfer syntaxes."""
    id: int
    abstract: str
    transfers: list


@dataclasses.dataclass
class Answered:
    """A context of an answer: result 0 and one transfer syntax; a rejected one may have none."""
    id: int
    result: int
    transfer: str = ""


@dataclasses.dataclass
class Associate:
    """An A-ASSOCIATE-RQ or -AC, every item of it."""
    called: object = "HILUM"
    calling: object = "SENDER"
    contexts: list = dataclasses.field(default_factory=list)
    max_length: int = 16384  # None: no such item; 0: unlimited
    version: int = 1
    application: str = APPLICATION_CONTEXT
    class_uid: str = "1.2.826.0.1.3680043.10.1234.1"
    version_name: str = "SCRIPTED"
    window: tuple = None  # 53: (invoked, performed)
    roles: list = dataclasses.field(default_factory=list)  # 54: (uid, scu, scp)
    extended: list = dataclasses.field(default_factory=list)  # 56: (uid, bytes)
    common: list = dataclasses.field(default_factory=list)  # 57: (class, service, [related])
    identity: tuple = None  # 58: (type, wants answer, primary, secondary)
    identity_answer: bytes = None  # 59
    extra_items: bytes = b""  # raw user information sub-items

    def user_information(self):
        out = b"" if self.max_length is None else item(0x51, struct.pack(">I", self.max_length))
        out += item(0x52, self.class_uid.encode()) if self.class_uid else b""
        out += item(0x53, struct.pack(">HH", *self.window)) if self.window else b""
        for uid, scu, scp in self.roles:
            out += item(0x54, counted(uid) + bytes([scu, scp]))
        out += item(0x55, self.version_name.encode()) if self.version_name else b""
        for uid, info in self.extended:
            out += item(0x56, counted(uid) + info)
        for sop_class, service, related in self.common:
            listed = b"".join(counted(uid) for uid in related)
            out += item(0x57, counted(sop_class) + counted(service) + counted(listed))
        if self.identity:
            kind, wants_answer, primary, secondary = self.identity
            out += item(0x58, bytes([kind, wants_answer]) + counted(primary) + counted(secondary))
        if self.identity_answer is not None:
            out += item(0x59, counted(self.identity_answer))
        return out + self.extra_items

    def encode(self):
        is_request = not self.contexts or isinstance(self.contexts[0], Proposed)
        body = struct.pack(">HH16s16s32x", self.version, 0, title(self.called), title(self.calling))
        body += item(0x10, self.application.encode())
        for c in self.contexts:
            if is_request:
                inner = item(0x30, c.abstract.encode()) + b"".join(item(0x40, t.encode()) for t in c.transfers)
                body += item(0x20, bytes([c.id, 0, 0, 0]) + inner)
            else:
                inner = b"" if c.transfer is None else item(0x40, c.transfer.encode())
                body += item(0x21, bytes([c.id, 0, c.result, 0]) + inner)
        body += item(0x50, self.user_information())
        return pdu(ASSOCIATE_RQ if is_request else ASSOCIATE_AC, body)

    @classmethod
    def decode(cls, body):
        version, _, called, calling = struct.unpack_from(">HH16s16s", body)
        a = cls(called=called, calling=calling, version=version, max_length=None, class_uid="", version_name="")
        for kind, value in items_of(body[68:]):
            if kind == 0x10:
                a.application = text(value)
            elif kind == 0x20:
                inner = list(items_of(value[4:]))
                abstract = [text(v) for k, v in inner if k == 0x30]
                a.contexts.append(Proposed(value[0], abstract[0], [text(v) for k, v in inner if k == 0x40]))
            elif kind == 0x21:
                transfer = [text(v) for k, v in items_of(value[4:]) if k == 0x40]
                a.contexts.append(Answered(value[0], value[2], transfer[0] if transfer else ""))
            elif kind == 0x50:
                for sub_kind, sub_value in items_of(value):
                    a._decode_user_item(sub_kind, sub_value)
        return a

    def _decode_user_item(self, kind, value):
        def take(at):
            length = struct.unpack_from(">H", value, at)[0]
            return value[at + 2:at + 2 + length], at + 2 + length
        if kind == 0x51:
            self.max_length = struct.unpack(">I", value)[0]
        elif kind == 0x52:
            self.class_uid = text(value)
        elif kind == 0x53:
            self.window = struct.unpack(">HH", value)
        elif kind == 0x54:
            uid, at = take(0)
            self.roles.append((text(uid), value[at], value[at + 1]))
        elif kind == 0x55:
            self.version_name = text(value)
        elif kind == 0x56:
            uid, at = take(0)
            self.extended.append((text(uid), value[at:]))
        elif kind == 0x57:
            self.common.append(text(take(0)[0]))
        elif kind == 0x58:
            primary, at = take(2)
            self.identity = (value[0], value[1], primary, take(at)[0])
        elif kind == 0x59:
            self.identity_answer = take(0)[0]


# ---- P-DATA (PS3.8 9.3.5, Annex E)


def pdv(context, control, fragment=b""):
    return struct.pack(">IBB", len(fragment) + 2, context, control) + fragment


def p_data(*pdvs):
    return pdu(P_DATA, b"".join(pdvs))


def pdvs_of(body):
    """The PDVs of a P-DATA-TF: (context, control, fragment)."""
    at = 0
    while at < len(body):
        length, context, control = struct.unpack_from(">IBB", body, at)
        assert 2 <= length <= len(body) - at - 4, "a PDV reaches past its PDU"
        yield context, control, body[at + 6:at + 4 + length]
        at += 4 + length


def fragments(context, kind, payload, size, empty_last=False):
    """A command (kind COMMAND) or data set (kind 0) as PDVs of at most `size` payload bytes."""
    pieces = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    if empty_last:
        pieces.append(b"")
    return [pdv(context, kind | (LAST if i == len(pieces) - 1 else 0), piece) for i, piece in enumerate(pieces)]


def packed(pdvs, pdu_bytes):
    """PDVs into as few PDUs of at most pdu_bytes as they fit."""
    held, size = [], 0
    for one in pdvs:
        if held and size + len(one) > pdu_bytes:
            yield p_data(*held)
            held, size = [], 0
        held.append(one)
        size += len(one)
    if held:
        yield p_data(*held)


# ---- command sets (PS3.7 6.3, Annex E): {element: int, str or bytes}

UIDS, TITLES = {0x0002, 0x0003, 0x1000, 0x1001}, {0x0600, 0x1030}


def command(fields, group_length=True):
    out = b""
    for element in sorted(fields):
        value = fields[element]
        if isinstance(value, int):
            value = struct.pack("<H", value)
        elif isinstance(value, str):
            value = value.encode("latin-1")
            value += (b"\0" if element in UIDS else b" ") * (len(value) % 2)
        out += struct.pack("<HHI", 0, element, len(value)) + value
    return (struct.pack("<HHII", 0, 0, 4, len(out)) if group_length else b"") + out


def parse_command(raw):
    """{element: value}; two-byte values as numbers, the rest as the very bytes that came."""
    fields, at = {}, 0
    while at < len(raw):
        group, element, length = struct.unpack_from("<HHI", raw, at)
        value = raw[at + 8:at + 8 + length]
        assert group == 0 and len(value) == length, "not a command set"
        numeric = length == 2 and element not in UIDS | TITLES | {0x0901, 0x0902, 0x1005}
        fields[element] = struct.unpack("<H", value)[0] if numeric else value
        at += 8 + length
    assert list(fields) == sorted(fields), "elements out of order"
    if 0 in fields:
        fields[0] = struct.unpack("<I", fields[0])[0]
        assert fields[0] == len(raw) - 12, "wrong group length"
    return fields


# ---- instances and files (PS3.10 7.1)


@dataclasses.dataclass
class Instance:
    sop_class: object
    uid: object
    transfer: str
    data: bytes = dataclasses.field(repr=False)
    path: str = ""
    meta: dict = dataclasses.field(default_factory=dict, repr=False)


def read_file(path):
    """A Part 10 file, or None if it is not one. What its meta information lacks is made up."""
    with open(path, "rb") as f:
        raw = f.read()
    if raw[128:132] != b"DICM":
        return None
    meta, at = {}, 132
    while raw[at:at + 2] == b"\x02\0":
        element, vr = struct.unpack_from("<H2s", raw, at + 2)
        if vr in (b"OB", b"UN"):
            length, head = struct.unpack_from("<I", raw, at + 8)[0], 12
        else:
            length, head = struct.unpack_from("<H", raw, at + 6)[0], 8
        meta[element] = raw[at + head:at + head + length]
        at += head + length
    uid = text(meta.get(0x0003, b"")) or f"2.25.{zlib.crc32(raw)}"
    sop_class = text(meta.get(0x0002, b"")) or SECONDARY_CAPTURE
    return Instance(sop_class, uid, text(meta.get(0x0010, b"")) or IMPLICIT, raw[at:], str(path), meta)


def element(group, number, value, vr=None):
    """A data element, Implicit VR (vr None) or Explicit VR Little Endian."""
    if vr is None:
        return struct.pack("<HHI", group, number, len(value)) + value
    if vr in (b"OB", b"OW", b"UN"):
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


LONG_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}


def encoded(elements, transfer=EXPLICIT):
    """A data set of (tag, VR, value): bytes, text, a number of a binary VR, or a list of items, each of them such elements."""
    order, out = ">" if transfer == BIG_ENDIAN else "<", b""
    inner = EXPLICIT if transfer == DEFLATED else transfer
    for tag, vr, value in elements:
        if isinstance(value, list):
            items = [encoded(one, inner) for one in value]
            value = b"".join(struct.pack(order + "HHI", 0xFFFE, 0xE000, len(one)) + one for one in items)
        elif isinstance(value, (int, float)):
            value = struct.pack(order + NUMBERS[vr], value)
        elif isinstance(value, str):
            value = value.encode() + (b"\0" if vr == "UI" else b" ") * (len(value.encode()) % 2)
        out += struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if transfer == IMPLICIT:
            out += struct.pack("<I", len(value)) + value
        elif vr in LONG_VRS:
            out += struct.pack(order + "2sHI", vr.encode(), 0, len(value)) + value
        else:
            out += struct.pack(order + "2sH", vr.encode(), len(value)) + value
    if transfer == DEFLATED:
        deflate = zlib.compressobj(wbits=-15)
        out = deflate.compress(out) + deflate.flush()
    return out


def instance_of(elements, transfer=EXPLICIT, sop_class=CT, uid=None):
    """An instance of these elements and its own two of group 0008, in order."""
    uid = uid or new_uid()
    own = [(0x00080016, "UI", sop_class), (0x00080018, "UI", uid)]
    return Instance(sop_class, uid, transfer, encoded(sorted(own + list(elements), key=lambda e: e[0]), transfer))


def new_uid():
    return f"2.25.{random.getrandbits(100)}"


def make_instance(size=1000, sop_class=CT, transfer=EXPLICIT, uid=None, seed=None):
    """A readable instance with `size` bytes of pixel data that no other instance shares."""
    uid = uid or new_uid()
    name = uid.encode() + b"\0" * (len(uid) % 2)
    kind = sop_class.encode() + b"\0" * (len(sop_class) % 2)
    vr = (lambda code: None) if transfer == IMPLICIT else (lambda code: code)
    data = element(8, 0x16, kind, vr(b"UI")) + element(8, 0x18, name, vr(b"UI"))
    data += element(0x10, 0x20, b"HILUM-1 ", vr(b"LO"))
    pixels = random.Random(seed or uid).randbytes(size + size % 2)
    return Instance(sop_class, uid, transfer, data + element(0x7FE0, 0x10, pixels, vr(b"OW")))


# ---- a connection


class Wire:
    """A socket that speaks PDUs. What breaks is said as Closed."""

    def __init__(self, connection, seconds):
        self.socket = connection
        self.socket.settimeout(seconds)

    def send(self, raw):
        try:
            self.socket.sendall(raw)
        except (ConnectionError, BrokenPipeError) as e:
            raise Closed(str(e)) from e

    def exactly(self, count):
        """`count` bytes, as a bytearray that nobody copies."""
        out = bytearray(count)
        view, got = memoryview(out), 0
        while got < count:
            try:
                n = self.socket.recv_into(view[got:])
            except TimeoutError:
                raise
            except OSError as e:
                raise Closed(str(e)) from e
            if n == 0:
                raise Closed(f"closed, {count - got} bytes short")
            got += n
        return out

    def pdu(self):
        """The next PDU, whatever it is: (type, body)."""
        kind, _, length = struct.unpack(">BBI", self.exactly(6))
        assert length < 64 << 20, f"a PDU of {length} bytes"
        return kind, bytes(self.exactly(length))

    def expect(self, *kinds):
        """The next PDU, which must be one of these; the others raise what they mean."""
        kind, body = self.pdu()
        if kind in kinds:
            return kind, body
        if kind == ASSOCIATE_RJ:
            raise Rejected(*body[1:4])
        if kind == ABORT:
            raise Aborted(*body[2:4])
        if kind == RELEASE_RQ:
            raise Released("A-RELEASE-RQ came")
        raise AssertionError(f"PDU {kind:02x} came where {kinds} was awaited")

    def reset(self):
        """Ends the connection by a TCP reset, at once, also while another thread reads from it."""
        ctypes.CDLL(None).connect(self.socket.fileno(), bytes(16), 16)  # AF_UNSPEC: disconnect
        self.socket.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
