"""What the gateway does, a file each."""
