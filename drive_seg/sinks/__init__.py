"""Where results go: each sink takes them in order and keeps its own slowness to itself."""
