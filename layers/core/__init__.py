"""What every function stands on: the doors, requests and answers, errors, limits, settings."""
