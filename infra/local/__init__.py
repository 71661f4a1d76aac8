"""The hosts on one machine: gateway environments, live connections, queue consumer, schedules, invoke."""
