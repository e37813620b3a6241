"""The schema, once. Migrations must produce exactly this (a test compares them).

Rules that let one schema run on SQLite, PostgreSQL and the engines that speak it
(Citus, CockroachDB, YugabyteDB): no database-generated ids, sequences, triggers or
foreign keys across nouns; ``run_id`` (random) leads every key of run data; values
stay under 1 MB; rows are touched in key order.

Times are integers: microseconds since 1970, UTC. ``revision`` grows with every
change of a row, under its lock, and is the etag.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

# Ordered by its bytes on every database, whatever the locale: an index then serves
# prefixes, ranges and paging alike.
Name = Text().with_variant(Text(collation="C"), "postgresql")

# So many characters of a param or tag are in an index.
INDEXED = 64
# URIs of one place begin alike; this is what every index takes.
INDEXED_OF_URI = 512

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Experiments ------------------------------------------------------------------

experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("workspace", String(255), nullable=False),
    Column("name", Name, nullable=False),
    Column("description", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("delete_time", BigInteger),
    Column("revision", BigInteger, nullable=False),
    # A deleted name can be used again.
    Index(
        "uq_experiments_live_name",
        "workspace",
        "name",
        unique=True,
        sqlite_where=text("delete_time IS NULL"),
        postgresql_where=text("delete_time IS NULL"),
    ),
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Name, primary_key=True),
    Column("value", Text, nullable=False),
)

# Runs -------------------------------------------------------------------------

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("experiment_id", BigInteger, nullable=False),
    Column("name", Name, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", Integer, nullable=False),  # Run.State
    Column("user", Text, nullable=False),
    # Source: what a filter can ask for in columns, the whole message beside it.
    Column("source_name", Text, nullable=False),
    Column("git_commit", Text, nullable=False),
    Column("source", LargeBinary, nullable=False),
    Column("parent_run_id", String(32), nullable=False),
    Column("forked_run_id", String(32), nullable=False),
    Column("forked_step", BigInteger),
    Column("create_time", BigInteger, nullable=False),
    Column("start_time", BigInteger),
    Column("end_time", BigInteger),
    Column("heartbeat_time", BigInteger),
    Column("delete_time", BigInteger),
    Column("stop_reason", Text),  # set: somebody asked the run to stop
    # A FinishRunRequest that waits for its writers (serialized), else null.
    Column("pending_finish", LargeBinary),
    # Arrivals count the rows of metric_frames that the run ever got, from 1: drawn under the
    # lock of this row, they have no gap and are committed in their order on every database.
    Column("last_arrival", BigInteger, nullable=False, server_default=text("0")),
    # metric_summaries and metric_blocks hold all up to these.
    Column("summarized_arrival", BigInteger, nullable=False, server_default=text("0")),
    Column("folded_arrival", BigInteger, nullable=False, server_default=text("0")),
    # summarized_arrival < last_arrival. A column, because it changes seldom: an index on the
    # two numbers would have to be written with every batch.
    Column("summaries_stale", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    # Of its last change that watchers are told of: store/run_change.py.
    Column("change_shard", Integer, nullable=False, server_default=text("0")),
    Column("change_revision", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_runs_experiment_id_start_time", "experiment_id", "start_time", "run_id"),
    Index("ix_runs_parent_run_id", "parent_run_id"),
    Index("ix_runs_change_shard_change_revision", "change_shard", "change_revision"),
    Index(
        "ix_runs_forked_run_id",
        "forked_run_id",
        sqlite_where=text("forked_run_id <> ''"),
        postgresql_where=text("forked_run_id <> ''"),
    ),
    Index(
        "ix_runs_stale",
        "experiment_id",
        sqlite_where=text("summaries_stale"),
        postgresql_where=text("summaries_stale"),
    ),
)

# The rows that changes of runs lock to draw their revisions.
run_revisions = Table(
    "run_revisions",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

run_params = Table(
    "run_params",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("key", Name, primary_key=True),
    Column("value", Text, nullable=False),
    Column("number", Double),  # the value where it is a finite number, for filters
    # A text is found by its beginning: an index's row has its limits.
    Index("ix_run_params_value", "key", "number", text(f"substr(value, 1, {INDEXED})"), "run_id"),
)

run_tags = Table(
    "run_tags",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("key", Name, primary_key=True),
    Column("value", Text, nullable=False),
    Index("ix_run_tags_value", "key", text(f"substr(value, 1, {INDEXED})"), "run_id"),
)

run_inputs = Table(
    "run_inputs",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("input_id", String(64), primary_key=True),  # SHA-256 of the message: idempotent
    Column("name", Name, nullable=False),
    Column("digest", Text, nullable=False),
    Column("dataset_input", LargeBinary, nullable=False),  # DatasetInput
    Column("context", Text, nullable=False, server_default=text("''")),  # its tag of that name
    Index("ix_run_inputs_digest", "digest"),
)

# Every create and verb that carried a request_id, remembered for 24 hours.
requests = Table(
    "requests",
    metadata,
    Column("request_id", String(128), primary_key=True),
    Column("method", String(64), nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("resource", Text, nullable=False),  # its key, for the method to find it again
    Column("create_time", BigInteger, nullable=False),
    Index("ix_requests_create_time", "create_time"),
)

# Metrics ----------------------------------------------------------------------

metric_keys = Table(
    "metric_keys",
    metadata,
    Column("key_id", BigInteger, primary_key=True, autoincrement=False),  # hash of the name
    Column("name", Name, nullable=False),
    Index("ix_metric_keys_name", "name"),
)

metric_writers = Table(
    "metric_writers",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("writer_id", String(64), primary_key=True),
    Column("committed_sequence", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # the writer's own, given back with acks
    Column("closed", Boolean, nullable=False),  # it finished the run: no further batches
    Column("open_time", BigInteger, nullable=False),
)

# The write-ahead log: one row per batch that carried points, as it came. Rows up to the run's
# folded_arrival are copies of what is in metric_blocks, kept for a while.
metric_frames = Table(
    "metric_frames",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("arrival", BigInteger, primary_key=True, autoincrement=False),
    Column("writer_id", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("step_min", BigInteger, nullable=False),
    Column("step_max", BigInteger, nullable=False),
    Column("time_min", BigInteger, nullable=False),
    Column("time_max", BigInteger, nullable=False),
    Column("receive_time", BigInteger, nullable=False),
    # It could not be folded and is kept, so that reads go on reporting it.
    Column("damaged", Boolean, nullable=False, server_default=false()),
    Column("data", LargeBinary, nullable=False),  # metrics/frames.py
    Index(
        "ix_metric_frames_damaged",
        "run_id",
        sqlite_where=text("damaged"),
        postgresql_where=text("damaged"),
    ),
)

# The ordered keys that share the rows of blocks. Set 0, which has no row here, is of blocks
# that name the key of every row.
metric_key_sets = Table(
    "metric_key_sets",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("set_id", BigInteger, primary_key=True, autoincrement=False),  # hash of the key ids
    Column("key_ids", LargeBinary, nullable=False),  # i64[], little endian
)

# Folded points, an axis each: rows by rows, what all keys of a set have in common.
metric_blocks = Table(
    "metric_blocks",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("set_id", BigInteger, primary_key=True, autoincrement=False),
    Column("block_no", BigInteger, primary_key=True, autoincrement=False),
    Column("rows", Integer, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),  # columns in each part but the last
    Column("step_min", BigInteger, nullable=False),
    Column("step_max", BigInteger, nullable=False),
    Column("time_min", BigInteger, nullable=False),
    Column("time_max", BigInteger, nullable=False),
    Column("first_arrival", BigInteger, nullable=False),
    Column("last_arrival", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),  # of the axis and all its parts
    Column("data", LargeBinary, nullable=False),  # metrics/blocks.py: the axis
)

# Their values: part p holds the columns from p * width on.
metric_block_parts = Table(
    "metric_block_parts",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("set_id", BigInteger, primary_key=True, autoincrement=False),
    Column("block_no", BigInteger, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),  # metrics/blocks.py: columns
)

# Who folds a run. Only spares servers the same work twice: that nothing is folded twice is
# kept by folded_arrival.
metric_folds = Table(
    "metric_folds",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("owner", String(32), nullable=False),  # empty: nobody
    Column("epoch", BigInteger, nullable=False),  # grows with every sign of life of the owner
    Column("next_block", BigInteger, nullable=False),
)

# One row per (run, series), what search and Run.metrics read. NaN is stored as
# NULL on both databases (SQLite has no NaN), so a null `last` is a NaN.
metric_summaries = Table(
    "metric_summaries",
    metadata,
    Column("experiment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", String(32), primary_key=True),
    Column("points", BigInteger, nullable=False),
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),  # of the point that is the last by step
    Column("time_min", BigInteger, nullable=False, server_default=text("0")),
    Column("time_max", BigInteger, nullable=False, server_default=text("0")),
    Column("last", Double),
    Column("min", Double),  # over finite values, as are max, sum and mean
    Column("max", Double),
    Column("sum", Double, nullable=False),
    Column("mean", Double),
    Column("non_finite", BigInteger, nullable=False),
    Index("uq_metric_summaries_run_id_key_id", "run_id", "key_id", unique=True),
    Index("ix_metric_summaries_last", "experiment_id", "key_id", "last", "run_id"),
)

# Artifacts --------------------------------------------------------------------

blobs = Table(
    "blobs",
    metadata,
    Column("workspace", String(255), primary_key=True),
    Column("digest", String(71), primary_key=True),  # "sha256:" and 64 hex digits
    Column("size_bytes", BigInteger, nullable=False),
    Column("lease_time", BigInteger, nullable=False),  # not collected before this
    # Ends the name of the bytes in the blob store, so that a collector that removes them
    # cannot take those that come after them.
    Column("generation", String(16), nullable=False, server_default=text("''")),
    Index("ix_blobs_lease_time", "lease_time"),
)

# The bytes of those that came in a batch and are small; the others are in the blob store.
small_blobs = Table(
    "small_blobs",
    metadata,
    Column("workspace", String(255), primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", String(32), primary_key=True),
    Column("workspace", String(255), nullable=False),
    Column("digest", String(71), nullable=False),  # as declared; empty: not known yet
    Column("size_bytes", BigInteger, nullable=False),
    Column("committed_size", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),  # of the blob store, to go on after a restart
    Column("stored_digest", String(71), nullable=False),  # set once it is finished
    Column("expire_time", BigInteger, nullable=False),
    Index("ix_uploads_expire_time", "expire_time"),
)

# owner: "run/RUN_ID" or "version/WORKSPACE/MODEL/NUMBER".
artifacts = Table(
    "artifacts",
    metadata,
    Column("owner", Name, primary_key=True),
    Column("path", Name, primary_key=True),
    Column("workspace", String(255), nullable=False),
    Column("digest", String(71), nullable=False),  # empty where uri is set
    Column("size_bytes", BigInteger, nullable=False),
    Column("uri", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("modify_time", BigInteger, nullable=False),
    Index("ix_artifacts_workspace_digest", "workspace", "digest"),
)

# Registry ---------------------------------------------------------------------

# The row that every registry change of a workspace locks to draw its revision.
registry_revisions = Table(
    "registry_revisions",
    metadata,
    Column("workspace", String(255), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("model_id", String(32), primary_key=True),  # random; a deleted name can be used again
    Column("workspace", String(255), nullable=False),
    Column("name", Name, nullable=False),
    Column("description", Text, nullable=False),
    Column("stages", Text, nullable=False),  # JSON list
    Column("latest_version", BigInteger, nullable=False),  # of those not deleted; 0: none
    Column("last_number", BigInteger, nullable=False, server_default=text("0")),  # ever given
    Column("creator", Text, nullable=False, server_default=""),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    # Its versions have none of their own for it, and its aliases stay, to come back with it.
    Column("delete_time", BigInteger),
    Column("revision", BigInteger, nullable=False),  # of the last change, of a version too
    Index("ix_models_workspace_revision", "workspace", "revision"),
    Index(
        "uq_models_live_name",
        "workspace",
        "name",
        unique=True,
        sqlite_where=text("delete_time IS NULL"),
        postgresql_where=text("delete_time IS NULL"),
    ),
)

model_tags = Table(
    "model_tags",
    metadata,
    Column("model_id", String(32), primary_key=True),
    Column("key", Name, primary_key=True),
    Column("value", Text, nullable=False),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("model_id", String(32), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("stage", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("source_run_id", String(32), nullable=False),
    Column("source_path", Text, nullable=False),
    Column("source_uri", Text, nullable=False),
    Column("source_model_id", String(32), nullable=False, server_default=""),
    Column("source_version", BigInteger, nullable=False, server_default=text("0")),
    Column("tree_digest", String(71), nullable=False),
    Column("signature", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("delete_time", BigInteger),
    Column("revision", BigInteger, nullable=False),
    Index("ix_model_versions_source_run_id", "source_run_id"),
    Index(
        "ix_model_versions_source_uri",
        text(f"substr(source_uri, 1, {INDEXED_OF_URI})"),
        sqlite_where=text("source_uri <> ''"),
        postgresql_where=text("source_uri <> ''"),
    ),
    Index("ix_model_versions_model_id_revision", "model_id", "revision"),
    Index(
        "ix_model_versions_source_model_id",
        "source_model_id",
        "source_version",
        sqlite_where=text("source_version > 0"),
        postgresql_where=text("source_version > 0"),
    ),
)

model_version_tags = Table(
    "model_version_tags",
    metadata,
    Column("model_id", String(32), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Name, primary_key=True),
    Column("value", Text, nullable=False),
)

model_aliases = Table(
    "model_aliases",
    metadata,
    Column("model_id", String(32), primary_key=True),
    Column("alias", String(255), primary_key=True),
    Column("version", BigInteger, nullable=False),
)

# Kept for good: who moved what, when, why.
model_events = Table(
    "model_events",
    metadata,
    Column("workspace", String(255), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Integer, nullable=False),  # ModelEvent.Kind
    Column("model_id", String(32), nullable=False),
    Column("model", Text, nullable=False),  # its name at that time
    Column("version", BigInteger, nullable=False),
    Column("previous_version", BigInteger, nullable=False),
    Column("alias", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("previous_stage", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("previous_model", Text, nullable=False, server_default=""),
    Column("changes", Text, nullable=False, server_default=""),  # store/model_change.py
    Column("undone_revision", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_model_events_model_id_revision", "model_id", "revision"),
    Index("ix_model_events_model_id_alias_revision", "model_id", "alias", "revision"),
    # To find the history of a model that was removed for good by its name.
    Index("ix_model_events_workspace_model", "workspace", "model"),
)
