"""Structure files as candidates: one file per format, `files.FORMATS` by their endings."""
