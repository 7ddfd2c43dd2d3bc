"""The audit: what was decided in a namespace, what came of it, what stands in the way. Pure."""
