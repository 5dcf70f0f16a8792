# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Log lines of the service: one line an event, for people or as JSON, bound to request and job."""

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import datetime, timezone

__all__ = ["configure_logging", "job_id", "request_id"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered."""
job_id: ContextVar[str] = ContextVar("job_id", default="")
"""Of the job that this thread works for."""

_SECRET = re.compile(r"\b(pc_|whsec_)[\w+/=-]{16,}|\b(Bearer) +[\w.~+/=-]+", re.IGNORECASE)
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


def configure_logging(style: str) -> None:
    """Write all records to stderr, as ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("uvicorn.access", "httpx", "httpcore", "botocore", "boto3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_bound(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _redacted(json.dumps(line, default=str))


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        facts = " ".join(f"{name}={value}" for name, value in _bound(record).items())
        text = f"{at} {record.levelname.lower():<7} {record.getMessage()}  {facts}".rstrip()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return _redacted(text)


def _redacted(text: str) -> str:
    """Hide what looks like a key or a secret, should one ever get into a line."""
    return _SECRET.sub(lambda match: f"{match[1] or match[2] + ' '}…", text)


def _bound(record: logging.LogRecord) -> dict[str, object]:
    """What a record carries besides its message."""
    facts = {name: value for name, value in record.__dict__.items() if name not in _OWN}
    if request := request_id.get():
        facts["request"] = request
    if job := job_id.get():
        facts.setdefault("job", job)
    return facts
