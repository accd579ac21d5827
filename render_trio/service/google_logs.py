"""The fields of a log line → those that Google Cloud Logging recognises in JSON.

https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
"""

from __future__ import annotations

from typing import Any

from structlog.typing import EventDict, Processor

_SEVERITIES = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}
_TRACE = "logging.googleapis.com/trace"


def fields(project: str) -> Processor:
    """Return a processor that renames the fields. `project` may have the prefix of an App Engine project (`s~`)."""
    name = project.rpartition("~")[2]

    def rename(logger: Any, method: str, line: EventDict) -> EventDict:
        message = line.pop("event", "")
        renamed: EventDict = {
            "severity": _SEVERITIES.get(line.pop("level", ""), "DEFAULT"),
            "message": message,
            "time": line.pop("timestamp", None),
        }
        if message in ("request", "probe") and "method" in line:  # a line of the access log
            renamed["httpRequest"] = _http_request(line)
        if trace := line.get("trace"):
            renamed[_TRACE] = f"projects/{name}/traces/{trace}" if name else trace
        return {**renamed, **line}

    return rename


def _http_request(line: EventDict) -> dict[str, Any]:
    """Return the HttpRequest, made of the fields that are removed from the line."""
    request = {
        "requestMethod": line.pop("method"),
        "requestUrl": line.pop("path"),
        "status": line.pop("status"),
        "responseSize": str(line.pop("bytes")),  # int64 is text in JSON
        "latency": f"{line.pop('duration')}s",
        "remoteIp": line.pop("client"),
    }
    return {name: value for name, value in request.items() if value is not None}
