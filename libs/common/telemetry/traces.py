"""Traces across the bus (W3C Trace Context), made for those transfers alone whose caller asks by a sampled header.

A traced transfer is followed on its way through memory: request, screening, posting, outcome. The context is kept in no
table but the outbox, so a trace may end early: what a sweeper repeats, what is answered again from PostgreSQL, and what
the ledger reads back from its journal goes on untraced. Attributes are ids and counts, never names, amounts or tokens.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

# Version, trace id, parent id, flags; only a version to come may have more (W3C Trace Context, 3.2 and 4.3).
_FORM: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_FORBIDDEN_VERSION: Final = b"ff"
_OUR_VERSION: Final = b"00"
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16
_KNOWN_FLAGS: Final = TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID

_QUEUE_SPANS: Final = 2048
_EXPORT_SPANS: Final = 512
_EXPORT_EVERY_MS: Final = 1000
_EXPORT_SECONDS: Final = 5

# Without a provider, as without an endpoint, OpenTelemetry's own stand-in hands on the context that came in.
_tracer: Final = trace.get_tracer("tallystick")


def read_traceparent(value: bytes) -> str:
    """Return a sampled `traceparent` in version 00; "" for one that is not sampled or not well-formed."""
    found = _FORM.fullmatch(value)
    if found is None:
        return ""
    version, trace_id, span_id, flags_text, more = found.groups()
    if version == _FORBIDDEN_VERSION or (version == _OUR_VERSION and more is not None):
        return ""
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return ""
    flags = int(flags_text, 16)
    if not flags & TraceFlags.SAMPLED:
        return ""
    return f"00-{trace_id.decode()}-{span_id.decode()}-{flags & _KNOWN_FLAGS:02x}"


def begin_span(name: str, traceparent: str, kind: SpanKind) -> Span:
    """Begin a span below `traceparent`, which `read_traceparent` returned. Whoever begins it ends it."""
    _, trace_id, span_id, flags = traceparent.split("-")
    came_in = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return _tracer.start_span(name, trace.set_span_in_context(NonRecordingSpan(came_in)), kind)


def note_work(span: Span, transfer_id: str, batch_size: int) -> None:
    """Say which transfer the span is about, and among how many it was worked on."""
    span.set_attributes({"tallystick.transfer_id": transfer_id, "tallystick.batch_size": batch_size})


def traceparent_of(span: Span) -> str:
    """Return the header for what goes out from within the span."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@contextmanager
def batch_spans(name: str, came_in: Mapping[str, str], batch_size: int) -> Iterator[Mapping[str, str]]:
    """Trace the part these transfers have in one unit of work, from its begin to its commit.

    `came_in` is transfer_id → traceparent, of the traced ones alone; so is what it gives, for the messages that go out.
    A unit of work that fails ends its spans as failed, without saying how: a message may name what a trace must not.
    """
    if not came_in:
        yield came_in
        return
    spans = {transfer_id: begin_span(name, parent, SpanKind.CONSUMER) for transfer_id, parent in came_in.items()}
    try:
        yield {transfer_id: traceparent_of(span) for transfer_id, span in spans.items()}
    except BaseException:
        for span in spans.values():
            span.set_status(StatusCode.ERROR)
        raise
    finally:
        for transfer_id, span in spans.items():
            note_work(span, transfer_id, batch_size)
            span.end()


@asynccontextmanager
async def exporting_spans(service: str, endpoint: str) -> AsyncIterator[None]:
    """Send this process's spans to `endpoint`/v1/traces (OTLP over HTTP); at the end, send what still waits.

    Once a process: OpenTelemetry keeps the first provider for ever. A receiver that is away costs spans, nothing else:
    what waits is bounded, and a thread of its own does the sending.
    """
    # They take as long to import as everything else, which nobody without an endpoint should wait for.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415 -- see above

    provider = TracerProvider(
        # The caller has decided: for what he did not sample no span is begun.
        sampler=ALWAYS_ON,
        resource=Resource.create({"service.namespace": "tallystick", "service.name": service}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=_QUEUE_SPANS,
            schedule_delay_millis=_EXPORT_EVERY_MS,
            max_export_batch_size=_EXPORT_SPANS,
            export_timeout_millis=_EXPORT_SECONDS * 1000,
        )
    )
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        await asyncio.to_thread(provider.shutdown)
