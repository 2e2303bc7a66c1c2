"""This project, driven through its installed programs."""
