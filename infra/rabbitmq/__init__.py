"""RabbitMQ: its settings, and the definitions that are generated for it."""
