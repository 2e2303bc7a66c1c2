"""Reads flow files without running them: `python -m pyhero._inspect FILE [FLOW]`.

Saving a workflow must not run the code of whoever wrote it, so everything here is read off the syntax tree.
Nothing but `ast` and `json` is imported: the command line waits for this before each run.
"""
