"""RabbitMQ: its configuration and its definitions of queues."""
