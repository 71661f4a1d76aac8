"""The hosts that run functions on this machine: HTTP, live connections, queue consumer, schedules."""
