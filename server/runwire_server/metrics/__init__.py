"""The metric engine: frames as they came, group commit, summaries, reads.

Nothing outside this package touches metric_frames, metric_writers or
metric_summaries, but for search, which reads summaries, and FinishRun, which
closes writers.
"""

from runwire_server.metrics.engine import Engine

__all__ = ["Engine"]
