"""What strangers may send, in tables: each gets its exact error, and nothing is stored."""
