"""Trimtab: keeps a workload at the smallest resources that still meet its latency target."""
