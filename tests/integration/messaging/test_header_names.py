"""A header's name that is no UTF-8: Kafka's protocol says it is text, but whoever reaches the broker sends bytes."""

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record._crc32c import crc as crc32c

from tests.integration.messaging.conftest import Headers, Notebook, World, headers, noted, until
from tests.integration.messaging.dead_letters_command_line import CommandLine

NAME, STRANGE = "strange", b"str\xffnge"
_CRC_AT, _COVERED_FROM = 17, 21


def altered(builder: BatchBuilder) -> BatchBuilder:
    """Write the bytes of the strange name over its stand-in's; no client's own code would."""
    built = bytearray(builder._build())
    at = built.index(NAME.encode())
    built[at : at + len(STRANGE)] = STRANGE
    built[_CRC_AT:_COVERED_FROM] = crc32c(bytes(built[_COVERED_FROM:])).to_bytes(4, "big")
    builder._buffer = built
    return builder


async def send_strange(world: World, payload: bytes, pairs: Headers) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=world.broker.address, enable_idempotence=False)
    await producer.start()
    try:
        builder = producer.create_batch()
        builder.append(timestamp=None, key=b"key", value=payload, headers=[*pairs, (NAME, b"x")])
        await (await producer.send_batch(altered(builder), world.topic.name, partition=0))
    finally:
        await producer.stop()


async def test_a_header_whose_name_is_no_text_stops_nobody(world: World) -> None:
    notebook = Notebook()
    await world.start(notebook)
    await world.send_numbers(1)
    await send_strange(world, noted(2), headers())
    await send_strange(world, b"no json", headers("parked"))
    await world.send_numbers(3)
    await until(lambda: notebook.noted == [1, 2, 3])
    (letter,) = await world.parked()
    assert (letter["message_id"], letter["cause_code"]) == ("parked", "payload_unreadable")

    await CommandLine(world).replay(str(letter["dead_letter_id"]))
    await until(lambda: _is_parked_again(world))
    *_, first, _, again = await world.on_the_bus(world.topic.name, 5)
    assert again.headers == first.headers
    assert again.headers[-1] == (STRANGE.decode("utf-8", "surrogateescape"), b"x")


async def _is_parked_again(world: World) -> bool:
    return [letter["attempts"] for letter in await world.parked()] == [2]
