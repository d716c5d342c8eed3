"""`make release` and `make audit`: the published files, their SBOM, and known vulnerabilities."""
