"""The schema `gateway`."""
