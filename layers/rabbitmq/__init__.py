"""RabbitMQ: publishing with confirms and the retries of queue triggers."""
