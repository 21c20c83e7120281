"""The bus: consuming, parking, publishing, the outbox. Nothing outside this package talks to Kafka."""
