"""The events that AWS sends to functions: REST requests, queue batches, schedules, WebSocket messages."""
