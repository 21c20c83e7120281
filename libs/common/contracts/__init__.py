"""What travels on the bus: envelope, topics, and the messages grouped by the service that owns them."""
