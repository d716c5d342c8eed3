"""The release that this is. template.yaml repeats it, since it can't read it: `make release` refuses if they differ."""

VERSION = "0.2.0"
