#!/usr/bin/python3
"""Writes src/dicom/dictionary_table.c from a table of the data dictionary.

    tools/gen_dictionary.py dictionary.tsv > src/dicom/dictionary_table.c

The table is tab-separated, one element a line, `#` starts a comment (a line "# Edition: ..." is quoted in the result):

    tag vr vm keyword retired note

A tag is 8 hex digits, x any digit in a pattern (in 50xx, 60xx and 7Fxx: even groups only); alternative VRs stand with a
slash, "-" for none; no keyword is "-". Entries are written by tag, patterns behind all others, and found by two perfect
hashes, of tags and of keywords: dictionary.c takes the same steps as `tag_hash`, `keyword_hash` and `Index.slot` here.
"""
import re
import sys

BUCKET_BITS, SLOT_BITS = 11, 13
BUCKETS, SLOTS, SHIFTS, EMPTY = 1 << BUCKET_BITS, 1 << SLOT_BITS, 256, 0xFFFF
MULTIPLIER = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


class Entry:
    def __init__(self, row):
        pattern, vr, vm, keyword, retired = row[:5]
        assert re.fullmatch("[0-9A-Fx]{8}", pattern), row
        self.pattern = pattern
        self.vrs = [] if vr == "-" else vr.split("/")
        assert len(self.vrs) <= 3 and all(re.fullmatch("[A-Z]{2}", vr) for vr in self.vrs), row
        self.keyword = "" if keyword == "-" else keyword
        assert re.fullmatch("[A-Za-z0-9]*", self.keyword), row
        self.is_retired = retired == "1"
        self.vm = read_vm(vm)
        self.is_pattern = "x" in pattern
        self.fixed = int(re.sub("[^x]", "F", pattern).replace("x", "0"), 16)
        self.value = int(pattern.replace("x", "0"), 16)
        if re.fullmatch("..xx....", pattern):
            self.fixed |= 0x00010000  # even groups only
        self.tag = self.value

    def matches(self, tag):
        return tag & self.fixed == self.value

    def written(self):
        vrs = ", ".join("DICOM_VR_" + vr for vr in self.vrs or ["UNKNOWN"])
        vm = ", ".join(str(n) for n in self.vm)
        retired = "true" if self.is_retired else "false"
        return f'    {{0x{self.tag:08X}, {{{vrs}}}, {retired}, {vm}, "{self.keyword}"}},'


def read_vm(text):
    """"3" is (3, 3, 1), "1-n" (1, 0, 1), "2-2n" (2, 0, 2): least, most (0: any), step."""
    least, most, step, unbounded = re.fullmatch(r"(\d+)(?:-(?:(\d+)|(\d*)(n)))?", text).groups()
    if unbounded:
        return int(least), 0, int(step or 1)
    return int(least), int(most or least), 1


def read_table(path):
    entries, edition = [], ""
    with open(path, encoding="utf-8") as table:
        for line in table:
            line = line.rstrip("\n")
            if line.startswith("# Edition:"):
                edition = line[len("# Edition:"):].strip().split(". ")[0].removesuffix(" (marked)")
            if line and not line.startswith("#"):
                entries.append(Entry(line.split("\t")))
    entries.sort(key=lambda entry: (entry.is_pattern, entry.value))
    return entries, edition


def families(entries):
    """What makes the first tag of a pattern of any of its tags: (fixed, value, kept, added) for all patterns of one shape."""
    found = {}
    exact = {entry.tag for entry in entries if not entry.is_pattern}
    for entry in entries:
        if entry.is_pattern:
            kept = entry.fixed & ~0x00010000 if re.fullmatch("..xx....", entry.pattern) else entry.fixed
            shape = int(re.sub("x.*", "", entry.pattern).ljust(8, "0"), 16), kept
            # the first tag must be no group length and have no entry of its own: of 002804x0 it is 00280410
            last_x = 4 * (7 - entry.pattern.rindex("x"))
            steps = [step << last_x for step in range(16)]
            fits = {step for step in steps if (entry.value + step) & 0xFFFF and entry.value + step not in exact}
            family = found.setdefault(shape, {"members": [], "fits": set(steps)})
            family["members"].append(entry)
            family["fits"] &= fits
    rows = []
    for (prefix, kept), family in sorted(found.items()):
        added = min(family["fits"])
        digits = family["members"][0].pattern.index("x")
        fixed = (0xFFFFFFFF << 4 * (8 - digits)) & 0xFFFFFFFF
        if digits == 2:
            fixed |= 0x00010000
        for entry in family["members"]:
            entry.tag = entry.value + added
        rows.append((fixed, prefix, kept, added))
    return rows


def tag_hash(tag):
    return tag * MULTIPLIER & WORD


def keyword_hash(keyword):
    """Words of 8 bytes, the last one overlapping; a shorter keyword is one word, filled with NULs."""
    text = keyword.encode()
    result = len(text)
    starts = [*range(0, len(text) - 8, 8), max(0, len(text) - 8)]
    for start in starts:
        result = (result ^ int.from_bytes(text[start:start + 8], "little")) * MULTIPLIER & WORD
        result ^= result >> 32
    return result * MULTIPLIER & WORD


class Index:
    """A perfect hash: the keys of a bucket share a shift, chosen so that no two keys of all have the same slot."""

    def __init__(self, hashes):
        self.shifts, self.slots = [0] * BUCKETS, [EMPTY] * SLOTS
        buckets = [[] for _ in range(BUCKETS)]
        for number, value in hashes:
            buckets[value >> (64 - BUCKET_BITS)].append((number, value))
        for bucket, keys in sorted(enumerate(buckets), key=lambda pair: -len(pair[1])):
            self.place(bucket, keys)

    @staticmethod
    def slot(value, shift):
        return ((value >> 32) ^ shift) % SLOTS

    def place(self, bucket, keys):
        for shift in range(SHIFTS):
            wanted = {self.slot(value, shift) for _, value in keys}
            if len(wanted) == len(keys) and all(self.slots[slot] == EMPTY for slot in wanted):
                self.shifts[bucket] = shift
                for number, value in keys:
                    self.slots[self.slot(value, shift)] = number
                return
        sys.exit("no perfect hash: change MULTIPLIER here and in dictionary.c")

    def written(self, name):
        lines = [f"const struct dictionary_index {name} = {{", "    .shifts = {"]
        lines += rows_of(self.shifts)
        lines += ["    },", "    .slots = {"]
        return lines + rows_of(self.slots) + ["    },", "};"]


def rows_of(numbers):
    return ["        " + " ".join(f"{n}," for n in numbers[start:start + 20]) for start in range(0, len(numbers), 20)]


def check(entries):
    assert len({entry.tag for entry in entries}) == len(entries), "a tag occurs twice"
    keywords = [entry.keyword for entry in entries if entry.keyword]
    assert len(set(keywords)) == len(keywords), "a keyword occurs twice"
    patterns = [entry for entry in entries if entry.is_pattern]
    for entry in patterns:
        assert [other for other in patterns if other.matches(entry.tag)] == [entry], "patterns overlap"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    entries, edition = read_table(sys.argv[1])
    shapes = families(entries)
    check(entries)
    by_tag = Index([(i, tag_hash(entry.tag)) for i, entry in enumerate(entries)])
    by_keyword = Index([(i, keyword_hash(entry.keyword)) for i, entry in enumerate(entries) if entry.keyword])

    print("/*")
    print(f" * Generated by tools/gen_dictionary.py; not to be edited. Source: PS3.6 and PS3.7 Annex E, {edition}.")
    print(" */")
    print("/* clang-format off */")
    print('#include "dicom/dictionary_table.h"')
    print()
    print("const struct dicom_entry dictionary_table[] = {")
    print("\n".join(entry.written() for entry in entries))
    print("};")
    print("const size_t dictionary_count = sizeof(dictionary_table) / sizeof(dictionary_table[0]);")
    print(f"const size_t dictionary_exact_count = {sum(not entry.is_pattern for entry in entries)};")
    print()
    print("const struct dictionary_family dictionary_families[] = {")
    for row in shapes:
        print("    {" + ", ".join(f"0x{number:08X}" for number in row) + "},")
    print("};")
    print("const size_t dictionary_family_count = sizeof(dictionary_families) / sizeof(dictionary_families[0]);")
    print()
    print("\n".join(by_tag.written("dictionary_by_tag")))
    print()
    print("\n".join(by_keyword.written("dictionary_by_keyword")))


if __name__ == "__main__":
    main()
