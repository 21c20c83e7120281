"""The commands of the tallystick command line, one file each."""
