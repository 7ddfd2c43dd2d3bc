"""Tell: status, events and operator metrics."""
