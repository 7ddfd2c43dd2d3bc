"""Replica policies on a queueing service, request by request."""
