"""Speed, measured through the installed programs, beside other engines on the same machine."""
