"""HTTP: the application all services share, problems (RFC 9457), tokens, the one policy."""
