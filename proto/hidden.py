"""Counts invisible characters: people do not see them, but a model reads them.

Counted are the *default ignorable* characters of Unicode, which renderers do not show, and the
three marks of interlinear annotation:

=====================  ============================================================
U+00AD U+034F          soft hyphen, combining grapheme joiner
U+061C U+200E–200F     bidirectional marks
U+202A–E U+2066–9      bidirectional embeddings, overrides, isolates
U+200B–D U+2060–2065   zero-width space and joiners, word joiner, invisible operators
U+206A–F U+FEFF        deprecated format characters, byte order mark
U+115F–1160 U+3164     Hangul fillers (U+FFA0 too), and Khmer inherent vowels U+17B4–5
U+180B–180F            Mongolian variation selectors and vowel separator
U+FE00–F U+E0100–E01EF variation selectors
U+FFF0–FFFB            unassigned, and the marks of interlinear annotation
U+1BCA0–3 U+1D173–A    shorthand and musical format characters
U+E0000–E0FFF          tags, and what is unassigned among them
=====================  ============================================================

Not counted is what ordinary writing needs; otherwise such writing would be full of warnings:

* in emoji: a variation selector 15 or 16 right after one (or in a keycap), a zero-width joiner
  between two, and the tags of the flags of England, Scotland and Wales, no other tags;
* a zero-width joiner or non-joiner between two letters of a script that joins them (Arabic to
  Sinhala, Myanmar, Khmer, Mongolian), or after a virama;
* a Mongolian selector or vowel separator right after a Mongolian letter.

Each of these is one character beside a visible one that needs it; of a run, all but the first are
counted. Other variation selectors always count: 240 of them can encode a byte after any character.
Control characters (C0, C1) and spaces are not handled here.

The server and the page share `HIDDEN` and `NEEDED`: `make docs` writes them to
``ws_node/static/app/ui/hidden_table.js``. So they use only syntax that means the same in Python
and JavaScript.
"""

import re
import unicodedata
from typing import Final

_BMP: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
HIDDEN: Final = re.compile(
    f"[{_BMP}\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_POSSIBLE: Final = re.compile(f"[{_BMP}\U0001bca0-\U000e0fff]")
"""A faster search that matches more than `HIDDEN`, such as emoji: every message is searched."""

_EMOJI: Final = (
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf"
    "\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
"""The blocks that contain emoji; it does not matter that they contain other symbols too."""

_JOINED: Final = (
    "[\u0620-\u065f\u066e-\u06d3\u06d5\u06fa-\u0dff\u1000-\u109f\u1780-\u17d3\u1820-\u18aa]"
)
_VIRAMAS: Final = "".join(
    chr(code) for code in range(0x900, 0x1C00) if unicodedata.combining(chr(code)) == 9
)
_FLAGS: Final = "|".join(
    "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
)
# Each alternative begins with the invisible character and looks back from there, which is fast.
NEEDED: Final = re.compile(
    "|".join(
        (
            f"[\ufe0e\ufe0f](?<={_EMOJI}.)",
            "\ufe0f(?<=[0-9#*].)(?=\u20e3)",
            f"\u200d(?={_EMOJI})(?:(?<={_EMOJI}.)|(?<={_EMOJI}\ufe0f.))",
            f"[\u200c\u200d](?:(?<=[{_VIRAMAS}].)|(?<={_JOINED}.)(?={_JOINED}))",
            "[\u180b-\u180f](?<=[\u1820-\u18aa].)",
            f"(?:{_FLAGS})(?<=\U0001f3f4.{{6}})",
        )
    )
)


def hidden_characters(text: str) -> int:
    """The number of invisible characters in a text, without those that its writing needs."""
    if text.isascii():
        return 0
    if not _POSSIBLE.search(text) or not HIDDEN.search(text):
        return 0
    rest = NEEDED.sub("", text)
    return len(rest) - len(HIDDEN.sub("", rest))


def hidden_in_json(encoded: bytes) -> int:
    """`hidden_characters` of a JSON text in which only what must be escaped is escaped."""
    return 0 if encoded.isascii() else hidden_characters(encoded.decode())
