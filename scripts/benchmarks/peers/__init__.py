"""Other trackers at the same work as Runwire, each in an environment of its own.

The modules named after a tracker, and ``tracker`` and ``tasks``, run inside the
tracker's environment: they import it and the standard library, nothing else.
"""
