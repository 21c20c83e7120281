"""Six mistakes that systems like this one are made of, to be planted one at a time: the simulation has to find each.

Each replaces a part of the running services for as long as its block lasts. Nothing outside the tests knows of them.
"""
