"""Log lines: one line an event, as text or JSON, control characters escaped, no query strings."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from proto.settings import Settings

_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_OURS: Final = ("proto", "serving", "mcp_node", "ws_node")
_FOREIGN_WITH_HANDLERS: Final = ("fastmcp", "mcp")


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
    """One JSON object a line: time, level, logger, message, and trace where there is one."""

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


def set_up_logging(settings: Settings) -> None:
    """Send every log line of this process to stderr in the form the settings ask for.

    LOG_LEVEL is for our own lines. Libraries stay at WARNING: below that, aiosqlite logs the
    messages it stores, and websockets logs the headers with their tokens.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    foreign = max(logging.WARNING, logging.getLevelNamesMapping()[settings.log_level])
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
