"""Messages nobody may add: the members of the body as raw JSON text, and the error code."""

from typing import Final

from tests.security.unharmed import MARK

_M: Final = MARK.encode()


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def _content(text: bytes) -> bytes:
    return b'"content":"%b"' % text


def _with(members: bytes) -> bytes:
    return b'"content":"%b",%b' % (_M, members)


BAD_MESSAGES: Final[dict[str, tuple[bytes, str]]] = {
    "empty": (_content(b""), "INVALID_INPUT"),
    "white space": (_content(rb" \n\t\u00a0\u2003"), "INVALID_INPUT"),
    "no content": (b'"visibility":"public"', "INVALID_INPUT"),
    "content null": (b'"content":null', "INVALID_INPUT"),
    "content number": (b'"content":7', "INVALID_INPUT"),
    "content list": (b'"content":["%b"]' % _M, "INVALID_INPUT"),
    "content object": (b'"content":{"%b":1}' % _M, "INVALID_INPUT"),
    "too long": (_content(_M + b"x" * 100_000), "TOO_LARGE"),
    "NUL escaped": (_content(_M + rb"\u0000"), "INVALID_INPUT"),
    "NUL raw": (_content(_M + b"\0"), "INVALID_INPUT"),
    "line feed raw": (_content(_M + b"\n"), "INVALID_INPUT"),
    "high surrogate escaped": (_content(_M + rb"\ud800"), "INVALID_INPUT"),
    "low surrogate escaped": (_content(_M + rb"\udfff"), "INVALID_INPUT"),
    "surrogates reversed": (_content(_M + rb"\udc00\ud800"), "INVALID_INPUT"),
    "surrogate raw": (_content(_M + b"\xed\xa0\x80"), "INVALID_INPUT"),
    "not UTF-8": (_content(_M + b"\xff"), "INVALID_INPUT"),
    "overlong UTF-8": (_content(_M + b"\xc0\x80"), "INVALID_INPUT"),
    "content twice": (_with(b'"content":"%b"' % _M), "INVALID_INPUT"),
    "unknown field": (_with(b'"%b":1' % _M), "INVALID_INPUT"),
    "sender given": (_with(b'"sender":"system"'), "INVALID_INPUT"),
    "metadata list": (_with(b'"metadata":["%b"]' % _M), "INVALID_INPUT"),
    "metadata pairs": (_with(b'"metadata":[["a",1]]'), "INVALID_INPUT"),
    "metadata string": (_with(b'"metadata":"%b"' % _M), "INVALID_INPUT"),
    "metadata number": (_with(b'"metadata":7'), "INVALID_INPUT"),
    "metadata true": (_with(b'"metadata":true'), "INVALID_INPUT"),
    "metadata too deep": (_with(b'"metadata":' + nested(17)), "INVALID_INPUT"),
    "metadata far too deep": (_with(b'"metadata":' + nested(100_000)), "INVALID_INPUT"),
    "lists far too deep": (
        _with(b'"metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "INVALID_INPUT",
    ),
    "unclosed": (_with(b'"metadata":' + b"[" * 100_000), "INVALID_INPUT"),
    "metadata too big": (_with(b'"metadata":{"a":"%b"}' % (b"x" * 16_384)), "TOO_LARGE"),
    "metadata NaN": (_with(b'"metadata":{"a":NaN}'), "INVALID_INPUT"),
    "metadata Infinity": (_with(b'"metadata":{"a":-Infinity}'), "INVALID_INPUT"),
    "metadata overflow": (_with(b'"metadata":{"a":1e999}'), "INVALID_INPUT"),
    "metadata key twice": (_with(b'"metadata":{"a":1,"a":2}'), "INVALID_INPUT"),
    "metadata keys alike": (_with(rb'"metadata":{"a":1,"\u0061":2}'), "INVALID_INPUT"),
    "metadata NUL": (_with(rb'"metadata":{"a":"\u0000"}'), "INVALID_INPUT"),
    "metadata NUL key": (_with(rb'"metadata":{"\u0000":1}'), "INVALID_INPUT"),
    "metadata surrogate": (_with(rb'"metadata":{"a":["\ud83d"]}'), "INVALID_INPUT"),
    "metadata integer": (_with(b'"metadata":{"a":9007199254740993}'), "INVALID_INPUT"),
    "metadata negative": (_with(b'"metadata":{"a":-9007199254740993}'), "INVALID_INPUT"),
    "metadata 64 bits": (_with(b'"metadata":{"a":18446744073709551616}'), "INVALID_INPUT"),
    "metadata digits": (_with(b'"metadata":{"a":' + b"9" * 100_000 + b"}"), "INVALID_INPUT"),
    "visibility unknown": (_with(b'"visibility":"%b"' % _M), "INVALID_INPUT"),
    "visibility empty": (_with(b'"visibility":""'), "INVALID_INPUT"),
    "visibility capital": (_with(b'"visibility":"PUBLIC"'), "INVALID_INPUT"),
    "visibility null": (_with(b'"visibility":null'), "INVALID_INPUT"),
    "visibility number": (_with(b'"visibility":0'), "INVALID_INPUT"),
    "admin_only": (_with(b'"visibility":"admin_only"'), "FORBIDDEN"),
    "parent unknown": (_with(b'"parent_message_id":9007199254740992'), "PARENT_NOT_FOUND"),
    "parent zero": (_with(b'"parent_message_id":0'), "INVALID_INPUT"),
    "parent negative": (_with(b'"parent_message_id":-1'), "INVALID_INPUT"),
    "parent past 2**53": (_with(b'"parent_message_id":9007199254740993'), "INVALID_INPUT"),
    "parent past 63 bits": (_with(b'"parent_message_id":9223372036854775808'), "INVALID_INPUT"),
    "parent past 64 bits": (_with(b'"parent_message_id":18446744073709551616'), "INVALID_INPUT"),
    "parent fraction": (_with(b'"parent_message_id":1.5'), "INVALID_INPUT"),
    "parent text": (_with(b'"parent_message_id":"%b"' % _M), "INVALID_INPUT"),
    "parent true": (_with(b'"parent_message_id":true'), "INVALID_INPUT"),
    "trailing": (_with(b'"metadata":{}} {"a":1'), "INVALID_INPUT"),
    "comment": (_with(b"/* */"), "INVALID_INPUT"),
    "single quotes": (b"'content':'%b'" % _M, "INVALID_INPUT"),
}
