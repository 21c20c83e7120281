"""JSON logs, one line an event: facts, not prose. Ids and amounts yes; names, e-mails, documents and tokens never."""

import logging
import sys
from typing import Final

import structlog

_QUIET: Final = ("aiokafka", "tallystick.consumers", "uvicorn.access", "asyncio", "httpx2", "httpcore2")
_REPEATS_PER_SECOND: Final = 2


class _Calm(logging.Filter):
    """Let at most a few lines a second through: during an outage the Kafka client writes over a hundred."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._lines = 0

    def filter(self, record: logging.LogRecord) -> bool:
        second = int(record.created)
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines <= _REPEATS_PER_SECOND


def configure_logs(service: str) -> None:
    """Send everything to standard output as JSON lines with `service`, `level`, `timestamp` (RFC 3339 UTC)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    structlog.contextvars.bind_contextvars(service=service)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(name).addFilter(_Calm())
    # FastStream warns at every start that the broker makes no topics by itself: we make them.
    logging.getLogger("tallystick.consumers").setLevel(logging.ERROR)
    for name in (
        "aiokafka.consumer.group_coordinator",
        "aiokafka.conn",
        "aiokafka.client",
        "aiokafka.producer.sender",
        "aiokafka.consumer.fetcher",
        "aiokafka.cluster",
    ):
        logging.getLogger(name).addFilter(_Calm())
