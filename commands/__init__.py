"""The command line, one thin function a command; the work is in the packages below."""
