"""Entry points, which turn the event of a trigger into a call: HTTP, queues, schedules and WebSocket."""
