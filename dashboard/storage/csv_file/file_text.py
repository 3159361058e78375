"""The text in a file's bytes, or a sentence about what the file is instead."""

import codecs
import re

MAX_FILE_BYTES = 10 * 10**6
"""Bytes of a file that are read."""

INSTEAD = "save the table as CSV, for example from the spreadsheet it is in."
BINARY = {
    b"PK\3\4": "a zip archive, as Excel (.xlsx) and LibreOffice (.ods) write; open it there, and",
    b"PK\5\6": "an empty zip archive;",
    b"\xd0\xcf\x11\xe0": "an old Excel or Office file (.xls); open it there, and",
    b"PAR1": "a Parquet file; read it with pandas, `read_parquet(...).to_csv(...)`, or",
    b"ARROW1": "an Arrow file; read it with pandas, `read_feather(...).to_csv(...)`, or",
    b"FEA1": "a Feather file; read it with pandas, `read_feather(...).to_csv(...)`, or",
    b"\x89HDF": "an HDF5 file; read it where it was written, and",
    b"\x93NUMPY": "an array of NumPy (.npy); write it with `numpy.savetxt(..., delimiter=',')`, or",
    b"\x1f\x8b": "a gzip archive; unpack it first, or",
    b"BZh": "a bzip2 archive; unpack it first, or",
    b"\xfd7zXZ": "an xz archive; unpack it first, or",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it first, or",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive; unpack it first, or",
    b"Rar!": "a RAR archive; unpack it first, or",
    b"SQLite format 3": "a SQLite database; export a table of it, or",
    b"%PDF": "a PDF; copy the table into a spreadsheet, and",
    b"{\\rtf": "a text with formatting (RTF); copy the table into a spreadsheet, and",
    b"\x89PNG": "a picture (PNG);",
    b"\xff\xd8\xff": "a picture (JPEG);",
    b"GIF8": "a picture (GIF);",
    b"MATLAB 5.0": "a MATLAB file; write it with `writematrix` or `writetable`, or",
    b"RDX": "an R data file; write it with `write.csv`, or",
    b"<stata_dta>": "a Stata file; export it, or",
    b"$FL2": "an SPSS file; export it, or",
}
"""First bytes of common binary files, and what these files are."""

MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, longer ones first, because that of UTF-16 begins that of UTF-32."""

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\xad\u202a\u202b\u202c\u202d\u202e"))
HTML = re.compile(r"\s*<(!doctype\s+html|html|head|body|table|div|meta|!--)\b", re.IGNORECASE)
XML = re.compile(r"\s*<\?(xml|mso)")
JSON = re.compile(r"\s*(\[\s*([\[{\"\]]|-?\d+(\.\d+)?\s*[,\]])|\{\s*[\"'}])")
LIBSVM = re.compile(r"[-+]?[\d.eE+-]+(,[\d.]+)*([ \t]+\d+:[-+.\deE]+){2,}[ \t]*(#.*)?")
SAMPLE = 4096


def text_of(content: bytes | str) -> tuple[str, list[str]]:
    """The text of a file, and notes on how it was decoded.

    Raises:
        ValueError: With a sentence on what the file is, if it is no table in text.
    """
    size = len(content)
    if size > MAX_FILE_BYTES:
        raise ValueError(f"the file has {size / 1e6:.1f} MB; {MAX_FILE_BYTES // 10**6} MB are the most.")
    text, notes = (content, []) if isinstance(content, str) else _decoded(content)
    text = text.lstrip("\ufeff").rstrip("\0\x1a\n\r")
    _refuse_binary(text)
    _refuse_other_formats(text)
    return text, notes


def plain(words: str) -> str:
    """A text on one line, without invisible characters."""
    return " ".join(CONTROL.sub("", words.translate(INVISIBLE)).split())


def _decoded(content: bytes) -> tuple[str, list[str]]:
    for start, words in BINARY.items():
        if content.startswith(start):
            raise ValueError(f"this is no text but {words} {INSTEAD}")
    if content[-4:] == b"PAR1":
        raise ValueError(f"this is no text but {BINARY[b'PAR1']} {INSTEAD}")
    coding = next((coding for mark, coding in MARKS.items() if content.startswith(mark)), "") or _wide_coding(content)
    if coding:
        return _whole(content, coding).decode(coding, errors="replace"), []
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as error:
        return _of_old_coding(content, error)


def _of_old_coding(content: bytes, error: UnicodeDecodeError) -> tuple[str, list[str]]:
    """A text that is UTF-8 with few errors, or else Western Windows: no other guess is better than chance."""
    text = content.decode("utf-8", errors="replace")
    broken, foreign = text.count("\ufffd"), sum(byte >= 0xC2 for byte in content)
    line = 1 + content[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")
    if foreign >= 4 * broken:
        return text, [f"line {line}: some characters are damaged (no UTF-8); they are shown as \ufffd."]
    note = f"The file is not in UTF-8 (see line {line}): it is read as Windows-1252."
    return content.decode("cp1252", errors="replace"), [f"{note} If letters are wrong, save it as UTF-8."]


def _wide_coding(content: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, recognized by the zero bytes of ASCII characters; empty if it is neither."""
    start = content[: SAMPLE - SAMPLE % 4]
    if len(start) < 8:
        return ""
    zeros = [start[place::4].count(0) / len(start[place::4]) for place in range(4)]
    if min(zeros[2], zeros[3]) > 0.9 and zeros[0] < 0.1:
        return "utf-32-le"
    if min(zeros[0], zeros[1]) > 0.9 and zeros[3] < 0.1:
        return "utf-32-be"
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.3 and odd < 0.05 else ""


def _whole(content: bytes, coding: str) -> bytes:
    """The text without an incomplete character at its end, and without padding."""
    return content[: len(content) - len(content) % (4 if "32" in coding else 2)] if "8" not in coding else content


def _refuse_binary(text: str) -> None:
    """Raise ValueError where there are many control characters; a few are errors of their lines."""
    strange = len(re.findall(f"{CONTROL.pattern}+", text))
    if strange * 20 > len(text):
        raise ValueError(f"this is no text; {INSTEAD}")


def _refuse_other_formats(text: str) -> None:
    start = text[:SAMPLE]
    if HTML.match(start):
        raise ValueError(f"this is a web page (HTML), no CSV; copy its table into a spreadsheet, and {INSTEAD}")
    if XML.match(start):
        raise ValueError(f"this is XML, no CSV; open it in a spreadsheet, and {INSTEAD}")
    if JSON.match(start):
        raise ValueError(
            "this is JSON, no CSV; write it as one, for example with pandas: `read_json(...).to_csv(..., index=False)`."
        )
    lines = [line.strip() for line in re.split(r"[\r\n]+", start)[:20] if line.strip() and line[0] != "#"]
    if lines and sum(bool(LIBSVM.fullmatch(line)) for line in lines) * 2 > len(lines):
        raise ValueError(
            "this is a libsvm file (numbers as column:value), no CSV; write it as one, for example with scikit-learn's "
            "`load_svmlight_file` and `numpy.savetxt(..., delimiter=',')`."
        )
