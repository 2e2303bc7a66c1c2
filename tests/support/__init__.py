"""What the tests need to drive the installed programs from outside."""
