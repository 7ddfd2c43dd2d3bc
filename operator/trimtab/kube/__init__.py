"""One client, one reflector, one server-side apply, one lease: everything that talks to the API server."""
