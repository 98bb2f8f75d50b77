#!/usr/bin/python3
"""Writes src/dicom/charset_table.c from a table of the defined terms of Specific Character Set.

    tools/gen_charsets.py charsets.tsv > src/dicom/charset_table.c

The table is tab-separated, `#` starts a comment (a line "# Edition: ..." is quoted in the result):

    term kind iso_ir element escape encoding bytes_per_char note

One line for each code element that a term designates. Upper halves of single-byte sets come from Python's codecs, which
are those that pydicom decodes with.
"""
import sys

# Registration number -> (name in charset_table.h, Python codec of the upper half or None)
SINGLE = {
    "6": ("ASCII", None), "14": ("ROMAJI", None), "13": ("KATAKANA", "shift_jis"),
    "100": ("LATIN_1", "iso8859_1"), "101": ("LATIN_2", "iso8859_2"), "109": ("LATIN_3", "iso8859_3"),
    "110": ("LATIN_4", "iso8859_4"), "148": ("LATIN_5", "iso8859_9"), "203": ("LATIN_9", "iso8859_15"),
    "144": ("CYRILLIC", "iso8859_5"), "127": ("ARABIC", "iso8859_6"), "126": ("GREEK", "iso8859_7"),
    "138": ("HEBREW", "iso8859_8"), "166": ("THAI", "tis_620"),
}
# -> (name, conversion)
DOUBLE = {"87": ("KANJI", "EUC_JP"), "159": ("KANJI_2", "EUC_JP"), "149": ("KOREAN", "EUC_KR"), "58": ("CHINESE", "EUC_CN")}
ALONE = {"ISO_IR 192": ("UTF_8", "NONE"), "GB18030": ("GB18030", "GB18030_WHOLE"), "GBK": ("GBK", "GBK_WHOLE")}
# What the standard does not have but data sets do, and what pydicom takes.
ALIASES = {
    "ISO_IR 87": "ISO 2022 IR 87", "ISO_IR 159": "ISO 2022 IR 159", "ISO_IR 149": "ISO 2022 IR 149",
    "ISO_IR 58": "ISO 2022 IR 58", "ISO 2022 58": "ISO 2022 IR 58", "ISO 2022 GBK": "GBK",
    "ISO 2022 GB18030": "GB18030", "ISO 2022 IR 192": "ISO_IR 192", "UTF-8": "ISO_IR 192",
    "ASCII": "ISO_IR 6", "US-ASCII": "ISO_IR 6", "ISO 646": "ISO_IR 6", "EUC-KR": "ISO 2022 IR 149", "GB2312": "ISO 2022 IR 58",
    "Latin-1": "ISO_IR 100", "ISO-8859-1": "ISO_IR 100", "ISO-8859-2": "ISO_IR 101", "ISO-8859-3": "ISO_IR 109",
    "ISO-8859-4": "ISO_IR 110", "ISO-8859-5": "ISO_IR 144", "ISO-8859-6": "ISO_IR 127", "ISO-8859-7": "ISO_IR 126",
    "ISO-8859-8": "ISO_IR 138", "ISO-8859-9": "ISO_IR 148", "ISO-8859-15": "ISO_IR 203", "TIS-620": "ISO_IR 166",
}


def read_table(path):
    rows, edition = [], ""
    with open(path, encoding="utf-8") as table:
        for line in table:
            line = line.rstrip("\n")
            if line.startswith("# Edition:"):
                # the first sentence is the edition, the rest how the table was put together
                edition = line[len("# Edition:"):].strip().split(". ")[0]
            if line and not line.startswith("#"):
                rows.append((line.split("\t") + [""] * 8)[:8])
    return rows, edition


def plain(term):
    """As charset.c compares them: letters and digits, upper case."""
    return "".join(c for c in term.upper() if c.isalnum())


def upper_half(codec):
    """Code points of 80 to FF; 0 where there is no character."""
    codes = []
    for byte in range(0x80, 0x100):
        try:
            text = bytes([byte]).decode(codec)
        except UnicodeDecodeError:
            text = "\0"
        assert len(text) == 1
        codes.append(ord(text))
    return codes


def array(kind, name, values, width):
    lines = [f"static const {kind} {name}[] = {{"]
    for start in range(0, len(values), 16):
        lines.append("    " + " ".join(f"0x{v:0{width}x}," for v in values[start:start + 16]))
    return lines + ["};"]


def c_escape(digits):
    return '"' + "".join(f"\\x{digits[i:i + 2]}" for i in range(0, len(digits), 2)) + '"'


def elements(rows):
    halves, entries, seen = [], [], set()
    for _, kind, number, place, escape, *_ in rows:
        if kind != "extension" or number in seen:
            continue
        seen.add(number)
        fields = f".escape = {c_escape(escape)}, .escape_len = {len(escape) // 2}"
        if number in DOUBLE:
            name, conversion = DOUBLE[number]
            fields += f", .kind = CHARSET_{place}_DOUBLE, .conversion = CHARSET_{conversion}"
        else:
            name, codec = SINGLE[number]
            fields += f", .kind = CHARSET_{place}_SINGLE"
            if codec:
                codes = upper_half(codec)
                order = sorted((code, i) for i, code in enumerate(codes) if code)
                stem = name.lower()
                halves += array("uint16_t", f"{stem}_upper", codes, 4)
                halves += array("uint8_t", f"{stem}_order", [i for _, i in order], 2) + [""]
                fields += f", .upper = {stem}_upper, .order = {stem}_order, .order_count = {len(order)}"
        entries.append(f"    [CHARSET_{name}] = {{{fields}}},")
    assert seen == set(SINGLE) | set(DOUBLE), "a set has come or gone"
    for name, conversion in ALONE.values():
        entries.append(f"    [CHARSET_{name}] = {{.kind = CHARSET_ALONE, .conversion = CHARSET_{conversion}}},")
    return halves, entries


def terms(rows):
    found = {}
    for term, kind, number, place, *_ in rows:
        if not term:
            continue
        entry = found.setdefault(term, {"G0": "ASCII", "G1": "ASCII", "extends": kind == "extension"})
        if kind == "multibyte":
            entry["G0"] = ALONE[term][0]
        elif place in ("G0", "G1"):
            entry[place] = (SINGLE.get(number) or DOUBLE[number])[0]
    found["ISO_IR 13"]["G0"] = "ROMAJI"  # its one line names G1
    for alias, term in ALIASES.items():
        assert alias not in found, alias
        found[alias] = found[term]
    by_name = {plain(term): entry for term, entry in found.items()}
    assert len(by_name) == len(found), "two terms differ only in what is not compared"
    lines = []
    for name in sorted(by_name):
        entry = by_name[name]
        text = f'    {{.name = "{name}", .g0 = CHARSET_{entry["G0"]}, .g1 = CHARSET_{entry["G1"]}'
        lines.append(text + (", .extends = true}," if entry["extends"] else "},"))
    return lines


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows, edition = read_table(sys.argv[1])
    halves, entries = elements(rows)
    print("/*")
    print(f" * Generated by tools/gen_charsets.py; not to be edited. Source: {edition}.")
    print(" */")
    print("/* clang-format off */")
    print('#include "dicom/charset_table.h"')
    print()
    print("\n".join(halves))
    print("const struct charset_element charset_elements[CHARSET_COUNT] = {")
    print("\n".join(entries))
    print("};")
    print()
    print("const struct charset_term charset_terms[] = {")
    print("\n".join(terms(rows)))
    print("};")
    print("const size_t charset_term_count = sizeof(charset_terms) / sizeof(charset_terms[0]);")


if __name__ == "__main__":
    main()
