"""Looks into documents that strangers send, in processes of their own."""
