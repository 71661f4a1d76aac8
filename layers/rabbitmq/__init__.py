"""RabbitMQ: publishing with publisher confirms, and the retries of failed messages."""
