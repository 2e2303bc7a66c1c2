"""What may break, broken on purpose, with a ledger outside of it all as the witness."""
