"""What needs two stores or more: one module for each task."""
