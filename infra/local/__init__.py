"""The hosts on one machine: gateway environments, queue consumer, schedules, invoke."""
