"""The figures of Runwire's goals, each measured beside a physical anchor."""
