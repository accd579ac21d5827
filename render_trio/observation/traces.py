"""Spans of requests and tasks → OpenTelemetry, if the extra `traces` is installed and an address is configured.

Otherwise nothing is imported, and a span costs one comparison. The variables are OpenTelemetry's own:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
Spans have the names of routes and stages, and the IDs of tasks, but nothing that a user wrote.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import structlog
import trio

from render_trio.observation import trace_context

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
SERVICE_NAME = "render-trio"
FLUSH_SECONDS = 2.0  # at the end, for the spans that have not been exported yet
log = structlog.get_logger(__name__)

Kind = Literal["server", "consumer", "internal"]
Attributes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Span:
    """A span in progress: the traceparent for what is done in it, and how to add an attribute."""

    traceparent: str
    note: Callable[[str, str | int], object]


def _drop(name: str, value: str | int) -> None:
    """Drop an attribute: nothing is exported."""


_Start = Callable[[str, str, Kind, Attributes], AbstractContextManager[Span]]
_start: _Start | None = None


@contextmanager
def span(name: str, parent: str, kind: Kind = "internal", attributes: Attributes | None = None) -> Iterator[Span]:
    """Measure the block as a span. Its traceparent is the current one in the block.

    `parent` is the traceparent of what the span is a part of; "" begins a new trace. Without an export, it is also that
    of the span.
    """
    if _start is None:
        with trace_context.bound(parent):
            yield Span(parent, _drop)
        return
    with _start(name, parent, kind, attributes or {}) as started, trace_context.bound(started.traceparent):
        yield started


@asynccontextmanager
async def exported(environment: Mapping[str, str]) -> AsyncIterator[None]:
    """Export the spans of the block if the environment says where to. Those that are left at its end are sent then.

    An export that can't begin is logged, and spans are dropped: traces are never a reason not to work.
    """
    global _start
    reason = _obstacle(environment)
    if reason is None:
        yield
        return
    provider = None if reason else _provider(environment)
    if provider is None:
        log.warning(
            "traces not exported", reason=reason or "the extra is not installed: pip install render-trio[traces]"
        )
        yield
        return
    _start = _starting(provider)
    try:
        yield
    finally:
        _start = None
        with trio.CancelScope(shield=True), trio.move_on_after(FLUSH_SECONDS):
            await trio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)


def _obstacle(environment: Mapping[str, str]) -> str | None:
    """Return None if nothing is to be exported, "" if spans can be exported, or else why they can't be."""
    endpoint = any(environment.get(name) for name in ENDPOINTS)
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if not endpoint or disabled or exporter == "none":
        return None
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), PROTOCOL)
    if exporter != "otlp":
        return f"OTEL_TRACES_EXPORTER is {exporter[:40]!r}; allowed: 'otlp', 'none'"
    return "" if protocol == PROTOCOL else f"the protocol is {protocol[:40]!r}; allowed: {PROTOCOL!r}"


def _provider(environment: Mapping[str, str]) -> Any:
    """Return OpenTelemetry's TracerProvider, or None if it isn't installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        return None
    named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": SERVICE_NAME})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # it sends from a thread of its own
    return provider


def _starting(provider: Any) -> _Start:
    """Return a function that starts a span of the provider."""
    from opentelemetry import trace

    tracer = provider.get_tracer("render_trio")
    kinds = {"server": trace.SpanKind.SERVER, "consumer": trace.SpanKind.CONSUMER, "internal": trace.SpanKind.INTERNAL}

    @contextmanager
    def start(name: str, parent: str, kind: Kind, attributes: Attributes) -> Iterator[Span]:
        context = trace.set_span_in_context(trace.NonRecordingSpan(_span_context(parent)))
        # OpenTelemetry's own current span isn't used: Trio's tasks get the traceparent from `trace_context`.
        started = tracer.start_span(name, context, kinds[kind], dict(attributes))
        given = started.get_span_context()
        try:
            yield Span(f"00-{given.trace_id:032x}-{given.span_id:016x}-{given.trace_flags:02x}", started.set_attribute)
        except Exception:
            # Not recorded: its message may quote what a user wrote.
            started.set_status(trace.StatusCode.ERROR)
            raise
        finally:
            started.end()

    def _span_context(parent: str) -> trace.SpanContext:
        if not parent:
            return trace.INVALID_SPAN_CONTEXT
        _, trace_id, span_id, flags = parent.split("-")
        return trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16)))

    return start
