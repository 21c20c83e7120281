"""The local stack: PostgreSQL, a Kafka-protocol broker and the five services on one machine, without Docker.

Owns processes, their addresses, secrets and files under one data folder. Refuses to know what the services do.
"""
