"""What the past would have looked like: history out of Prometheus, replayed with the lab's policies. Read-only."""
