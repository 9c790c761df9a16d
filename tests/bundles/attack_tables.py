"""Names, cells and tables as people and programs write them, for test_attack.py."""

import os

# Names of files and folders.
NAMES = (
    *("plain", "$x$", "$__import__('os')", "=1+1", "-rf", "+1", "@SUM(A1)", "%x", "@x", "#2", "{x}", "~", "*", "C:"),
    *("a b", " a", "a,b", "a;b", "a'b", 'a"b', "a\nb", "a\tb", "a\x07b", "a\\b", "..a", "a..", "CON", "x" * 200),
    *("ü", "u\u0308", "名前", "\u202egnp", os.fsdecode(b"\xff\xfe")),
    *("predictions", "failed", "key", "beats"),
)
# Names that a table gives to cases: they would lead out of the output folder.
LEADING_OUT = (
    *("../out", "../../out", "/tmp/out", "a/../../out", "..", ".", "a/b", "C:\\out"),
    *("$x$", "=1+1", "x" * 300, "é"),
)
# A cell, by the name of its case: those that are one half, and those that are no number in the range.
HALVES = {"point": "0.5", "comma": "0,5", "exponent": "5e-1", "blanks": " 0.5 ", "plus": "+0.5", "digits": ".500"}
NO_NUMBERS = {
    "nan": "NaN",
    "inf": "inf",
    "huge": "1e999",
    "large": "1e7",
    "tiny": "1e-300",
    "negative": "-0.5",
    "zero": "0",
    "formula": "=1/2",
    "unit": "0.5 cm/s",
    "true": "true",
    "hex": "0x1p-1",
    "underscore": "0_5",
    "empty": "",
    "arabic": "٠.٥",
    "fullwidth": "０.５",
    "minus": "\u22120.5",
    "two": "0.5.0",
    "error": "#REF!",
    "null": "NULL",
    "long": "9" * 5000,
    "code": "$__import__('os')",
}
# A table that is read as ROWS, or refused.
ROWS = [("müller", "a.mha"), ("weiß", "b.mha")]
_TABLE = "case,adc,zmap\nmüller,a.mha,z.mha\nweiß,b.mha,z.mha\n"
TABLES = {
    **{f"in {code}": _TABLE.encode(code) for code in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp500")},
    **{f"in {code}": _TABLE.encode(code) for code in ("latin-1", "cp1252", "cp850", "mac_roman")},
    **{f"by {mark!r}": _TABLE.replace(",", mark).encode() for mark in (";", "\t", "|", " , ", ":", "  ")},
    **{f"lines by {end!r}": _TABLE.replace("\n", end).encode() for end in ("\r\n", "\r", "\n\n", "\u2028")},
    "sep line": b"sep=;\n" + _TABLE.replace(",", ";").encode(),
    "capitals": _TABLE.replace("case,adc", "Case,ADC").encode(),
    "empty rows": _TABLE.encode() + b"\n,,\n\n",
    "no last line end": _TABLE.encode()[:-1],
    "quotes": _TABLE.replace("a.mha", '"a.mha"').encode(),
    "open quote": _TABLE.replace("a.mha", '"a.mha').encode(),
    "too many cells": _TABLE.replace("a.mha", "a.mha,1,2").encode(),
    "column twice": _TABLE.replace("adc", "zmap").encode(),
    "cut": _TABLE.encode()[:-8],
    "header alone": b"case,adc,zmap\n",
    "nothing": b"",
    "zeros": bytes(400),
    "zero inside": _TABLE.replace("a.mha", "a\0.mha").encode(),
    "other columns": b"name,path\n1,2\n",
    "zip": b"PK\x03\x04" + bytes(range(256)) * 4,
    "html": b"<!doctype html><html><body>not found</body></html>",
}
