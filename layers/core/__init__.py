"""What all other layers use: models, errors, limits, settings, logging, metrics. It imports no other layer."""
