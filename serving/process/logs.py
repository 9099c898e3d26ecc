"""Log lines: one per event, as text or JSON, with control characters escaped."""

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from proto.rate import Buckets
from proto.settings import Settings

_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_OURS: Final = ("proto", "serving", "mcp_node", "ws_node")
_FOREIGN_WITH_HANDLERS: Final = ("fastmcp", "mcp")

LINES_PER_SECOND: Final = 1.0
LINES_AT_ONCE: Final = 20.0


def escape(text: str) -> str:
    """``text`` on one line, with every control character visible."""
    return text.translate(_ESCAPES)


class TextLines(logging.Formatter):
    """``2026-11-23T21:30:00.123Z INFO ws_node.app: message``; tracebacks follow, escaped too."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and one more for each line of a traceback."""
        line = f"{_when(record)} {record.levelname} {record.name}: {escape(record.getMessage())}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line = "\n".join([line, *(f"  {escape(part)}" for part in trace.splitlines())])
        return line


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and trace if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields = {
            "time": _when(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class LibraryRateLimit(logging.Filter):
    """Limits the rate of libraries' log lines: uvicorn writes one per malformed request.

    Each logger of a library is limited at each level separately. Our own lines always pass: those
    that a peer can cause are limited where they are written.

    Args:
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._buckets = Buckets(LINES_PER_SECOND, LINES_AT_ONCE)
        self._dropped: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the line. The next line that is written tells how many were dropped."""
        if record.name.partition(".")[0] in _OURS:
            return True
        key = f"{record.name} {record.levelname}"
        if not self._buckets.allow(key, self._clock()):
            self._dropped[key] = self._dropped.get(key, 0) + 1
            return False
        dropped = self._dropped.pop(key, 0)
        if dropped:
            more = f" ({dropped} lines of this logger were left out before this one)"
            record.msg, record.args = record.getMessage() + more, None
        return True


def set_up_logging(settings: Settings) -> None:
    """Send the log lines of this process to stderr, in the configured format.

    ``PARTYLINE_LOG_LEVEL`` applies to our own lines. Libraries stay at WARNING or above: below it,
    aiosqlite logs the messages that it stores, and websockets logs headers with tokens. Their rate
    is limited (`LibraryRateLimit`).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    foreign = max(logging.WARNING, logging.getLevelNamesMapping()[settings.log_level])
    handler.addFilter(LibraryRateLimit())
    logging.basicConfig(level=foreign, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.log_level)
    for name in _FOREIGN_WITH_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(foreign)


def _when(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
