"""Digests of projections: how two services find what they say differently, without reading each other's tables."""
