from google.protobuf import duration_pb2 as _duration_pb2
from runwire.v1 import metric_pb2 as _metric_pb2
from runwire.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WriteAdvice(_message.Message):
    __slots__ = ("min_interval", "max_unacked_batches", "max_batch_bytes", "stop_requested")
    MIN_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    MAX_UNACKED_BATCHES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    STOP_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    min_interval: _duration_pb2.Duration
    max_unacked_batches: int
    max_batch_bytes: int
    stop_requested: bool
    def __init__(self, min_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., max_unacked_batches: _Optional[int] = ..., max_batch_bytes: _Optional[int] = ..., stop_requested: bool = ...) -> None: ...

class LogBatchRequest(_message.Message):
    __slots__ = ("run_id", "writer_id", "batch", "series")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    writer_id: str
    batch: _metric_pb2.MetricBatch
    series: _containers.RepeatedCompositeFieldContainer[_metric_pb2.SeriesName]
    def __init__(self, run_id: _Optional[str] = ..., writer_id: _Optional[str] = ..., batch: _Optional[_Union[_metric_pb2.MetricBatch, _Mapping]] = ..., series: _Optional[_Iterable[_Union[_metric_pb2.SeriesName, _Mapping]]] = ...) -> None: ...

class LogBatchResponse(_message.Message):
    __slots__ = ("ack", "advice")
    ACK_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    ack: _metric_pb2.WriteAck
    advice: WriteAdvice
    def __init__(self, ack: _Optional[_Union[_metric_pb2.WriteAck, _Mapping]] = ..., advice: _Optional[_Union[WriteAdvice, _Mapping]] = ...) -> None: ...

class StreamBatchesRequest(_message.Message):
    __slots__ = ("open", "batch", "heartbeat", "series")
    class Open(_message.Message):
        __slots__ = ("run_id", "writer_id", "client", "series")
        RUN_ID_FIELD_NUMBER: _ClassVar[int]
        WRITER_ID_FIELD_NUMBER: _ClassVar[int]
        CLIENT_FIELD_NUMBER: _ClassVar[int]
        SERIES_FIELD_NUMBER: _ClassVar[int]
        run_id: str
        writer_id: str
        client: str
        series: _containers.RepeatedCompositeFieldContainer[_metric_pb2.SeriesName]
        def __init__(self, run_id: _Optional[str] = ..., writer_id: _Optional[str] = ..., client: _Optional[str] = ..., series: _Optional[_Iterable[_Union[_metric_pb2.SeriesName, _Mapping]]] = ...) -> None: ...
    class Heartbeat(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    OPEN_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    open: StreamBatchesRequest.Open
    batch: _metric_pb2.MetricBatch
    heartbeat: StreamBatchesRequest.Heartbeat
    series: _containers.RepeatedCompositeFieldContainer[_metric_pb2.SeriesName]
    def __init__(self, open: _Optional[_Union[StreamBatchesRequest.Open, _Mapping]] = ..., batch: _Optional[_Union[_metric_pb2.MetricBatch, _Mapping]] = ..., heartbeat: _Optional[_Union[StreamBatchesRequest.Heartbeat, _Mapping]] = ..., series: _Optional[_Iterable[_Union[_metric_pb2.SeriesName, _Mapping]]] = ...) -> None: ...

class StreamBatchesResponse(_message.Message):
    __slots__ = ("opened", "ack", "advice", "closing")
    class Opened(_message.Message):
        __slots__ = ("committed_sequence", "advice", "position")
        COMMITTED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
        ADVICE_FIELD_NUMBER: _ClassVar[int]
        POSITION_FIELD_NUMBER: _ClassVar[int]
        committed_sequence: int
        advice: WriteAdvice
        position: int
        def __init__(self, committed_sequence: _Optional[int] = ..., advice: _Optional[_Union[WriteAdvice, _Mapping]] = ..., position: _Optional[int] = ...) -> None: ...
    class Closing(_message.Message):
        __slots__ = ("grace",)
        GRACE_FIELD_NUMBER: _ClassVar[int]
        grace: _duration_pb2.Duration
        def __init__(self, grace: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    OPENED_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    opened: StreamBatchesResponse.Opened
    ack: _metric_pb2.WriteAck
    advice: WriteAdvice
    closing: StreamBatchesResponse.Closing
    def __init__(self, opened: _Optional[_Union[StreamBatchesResponse.Opened, _Mapping]] = ..., ack: _Optional[_Union[_metric_pb2.WriteAck, _Mapping]] = ..., advice: _Optional[_Union[WriteAdvice, _Mapping]] = ..., closing: _Optional[_Union[StreamBatchesResponse.Closing, _Mapping]] = ...) -> None: ...

class GetWriterRequest(_message.Message):
    __slots__ = ("run_id", "writer_id")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    writer_id: str
    def __init__(self, run_id: _Optional[str] = ..., writer_id: _Optional[str] = ...) -> None: ...

class GetWriterResponse(_message.Message):
    __slots__ = ("committed_sequence", "position")
    COMMITTED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    committed_sequence: int
    position: int
    def __init__(self, committed_sequence: _Optional[int] = ..., position: _Optional[int] = ...) -> None: ...

class ListSeriesRequest(_message.Message):
    __slots__ = ("run_id", "key_prefix", "page_size", "page_token")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    key_prefix: str
    page_size: int
    page_token: str
    def __init__(self, run_id: _Optional[str] = ..., key_prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSeriesResponse(_message.Message):
    __slots__ = ("series", "next_page_token")
    SERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    series: _containers.RepeatedCompositeFieldContainer[_metric_pb2.SeriesInfo]
    next_page_token: str
    def __init__(self, series: _Optional[_Iterable[_Union[_metric_pb2.SeriesInfo, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SeriesSelector(_message.Message):
    __slots__ = ("run_ids", "keys", "key_prefixes")
    RUN_IDS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    KEY_PREFIXES_FIELD_NUMBER: _ClassVar[int]
    run_ids: _containers.RepeatedScalarFieldContainer[str]
    keys: _containers.RepeatedScalarFieldContainer[str]
    key_prefixes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_ids: _Optional[_Iterable[str]] = ..., keys: _Optional[_Iterable[str]] = ..., key_prefixes: _Optional[_Iterable[str]] = ...) -> None: ...

class ReadSeriesRequest(_message.Message):
    __slots__ = ("select", "axis", "range_start", "range_end", "reduce", "max_points", "resume")
    class Reduce(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REDUCE_UNSPECIFIED: _ClassVar[ReadSeriesRequest.Reduce]
        REDUCE_NONE: _ClassVar[ReadSeriesRequest.Reduce]
        REDUCE_BUCKETS: _ClassVar[ReadSeriesRequest.Reduce]
        REDUCE_SHAPE: _ClassVar[ReadSeriesRequest.Reduce]
    REDUCE_UNSPECIFIED: ReadSeriesRequest.Reduce
    REDUCE_NONE: ReadSeriesRequest.Reduce
    REDUCE_BUCKETS: ReadSeriesRequest.Reduce
    REDUCE_SHAPE: ReadSeriesRequest.Reduce
    class Axis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        AXIS_UNSPECIFIED: _ClassVar[ReadSeriesRequest.Axis]
        AXIS_STEP: _ClassVar[ReadSeriesRequest.Axis]
        AXIS_TIME: _ClassVar[ReadSeriesRequest.Axis]
        AXIS_RELATIVE_TIME: _ClassVar[ReadSeriesRequest.Axis]
    AXIS_UNSPECIFIED: ReadSeriesRequest.Axis
    AXIS_STEP: ReadSeriesRequest.Axis
    AXIS_TIME: ReadSeriesRequest.Axis
    AXIS_RELATIVE_TIME: ReadSeriesRequest.Axis
    SELECT_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    RANGE_START_FIELD_NUMBER: _ClassVar[int]
    RANGE_END_FIELD_NUMBER: _ClassVar[int]
    REDUCE_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    select: SeriesSelector
    axis: ReadSeriesRequest.Axis
    range_start: int
    range_end: int
    reduce: ReadSeriesRequest.Reduce
    max_points: int
    resume: bytes
    def __init__(self, select: _Optional[_Union[SeriesSelector, _Mapping]] = ..., axis: _Optional[_Union[ReadSeriesRequest.Axis, str]] = ..., range_start: _Optional[int] = ..., range_end: _Optional[int] = ..., reduce: _Optional[_Union[ReadSeriesRequest.Reduce, str]] = ..., max_points: _Optional[int] = ..., resume: _Optional[bytes] = ...) -> None: ...

class ReadSeriesResponse(_message.Message):
    __slots__ = ("run_id", "key", "points", "buckets", "last", "resume", "cursor")
    class Points(_message.Message):
        __slots__ = ("steps", "times_micros", "values")
        STEPS_FIELD_NUMBER: _ClassVar[int]
        TIMES_MICROS_FIELD_NUMBER: _ClassVar[int]
        VALUES_FIELD_NUMBER: _ClassVar[int]
        steps: _containers.RepeatedScalarFieldContainer[int]
        times_micros: _containers.RepeatedScalarFieldContainer[int]
        values: _containers.RepeatedScalarFieldContainer[float]
        def __init__(self, steps: _Optional[_Iterable[int]] = ..., times_micros: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...
    class Buckets(_message.Message):
        __slots__ = ("starts", "ends", "counts", "first", "last", "min", "max", "sum", "non_finite")
        STARTS_FIELD_NUMBER: _ClassVar[int]
        ENDS_FIELD_NUMBER: _ClassVar[int]
        COUNTS_FIELD_NUMBER: _ClassVar[int]
        FIRST_FIELD_NUMBER: _ClassVar[int]
        LAST_FIELD_NUMBER: _ClassVar[int]
        MIN_FIELD_NUMBER: _ClassVar[int]
        MAX_FIELD_NUMBER: _ClassVar[int]
        SUM_FIELD_NUMBER: _ClassVar[int]
        NON_FINITE_FIELD_NUMBER: _ClassVar[int]
        starts: _containers.RepeatedScalarFieldContainer[int]
        ends: _containers.RepeatedScalarFieldContainer[int]
        counts: _containers.RepeatedScalarFieldContainer[int]
        first: _containers.RepeatedScalarFieldContainer[float]
        last: _containers.RepeatedScalarFieldContainer[float]
        min: _containers.RepeatedScalarFieldContainer[float]
        max: _containers.RepeatedScalarFieldContainer[float]
        sum: _containers.RepeatedScalarFieldContainer[float]
        non_finite: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, starts: _Optional[_Iterable[int]] = ..., ends: _Optional[_Iterable[int]] = ..., counts: _Optional[_Iterable[int]] = ..., first: _Optional[_Iterable[float]] = ..., last: _Optional[_Iterable[float]] = ..., min: _Optional[_Iterable[float]] = ..., max: _Optional[_Iterable[float]] = ..., sum: _Optional[_Iterable[float]] = ..., non_finite: _Optional[_Iterable[int]] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    key: str
    points: ReadSeriesResponse.Points
    buckets: ReadSeriesResponse.Buckets
    last: bool
    resume: bytes
    cursor: bytes
    def __init__(self, run_id: _Optional[str] = ..., key: _Optional[str] = ..., points: _Optional[_Union[ReadSeriesResponse.Points, _Mapping]] = ..., buckets: _Optional[_Union[ReadSeriesResponse.Buckets, _Mapping]] = ..., last: bool = ..., resume: _Optional[bytes] = ..., cursor: _Optional[bytes] = ...) -> None: ...

class TailSeriesRequest(_message.Message):
    __slots__ = ("select", "cursor", "from_beginning", "from_now", "min_interval")
    SELECT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    FROM_BEGINNING_FIELD_NUMBER: _ClassVar[int]
    FROM_NOW_FIELD_NUMBER: _ClassVar[int]
    MIN_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    select: SeriesSelector
    cursor: bytes
    from_beginning: bool
    from_now: bool
    min_interval: _duration_pb2.Duration
    def __init__(self, select: _Optional[_Union[SeriesSelector, _Mapping]] = ..., cursor: _Optional[bytes] = ..., from_beginning: bool = ..., from_now: bool = ..., min_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TailSeriesResponse(_message.Message):
    __slots__ = ("data", "mark", "lagged", "run_ended", "cursor")
    class Data(_message.Message):
        __slots__ = ("run_id", "series", "frames")
        RUN_ID_FIELD_NUMBER: _ClassVar[int]
        SERIES_FIELD_NUMBER: _ClassVar[int]
        FRAMES_FIELD_NUMBER: _ClassVar[int]
        run_id: str
        series: _containers.RepeatedCompositeFieldContainer[_metric_pb2.SeriesName]
        frames: _containers.RepeatedCompositeFieldContainer[_metric_pb2.Frame]
        def __init__(self, run_id: _Optional[str] = ..., series: _Optional[_Iterable[_Union[_metric_pb2.SeriesName, _Mapping]]] = ..., frames: _Optional[_Iterable[_Union[_metric_pb2.Frame, _Mapping]]] = ...) -> None: ...
    class Mark(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Lagged(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class RunEnded(_message.Message):
        __slots__ = ("run_id", "state")
        RUN_ID_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        run_id: str
        state: _run_pb2.Run.State
        def __init__(self, run_id: _Optional[str] = ..., state: _Optional[_Union[_run_pb2.Run.State, str]] = ...) -> None: ...
    DATA_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    LAGGED_FIELD_NUMBER: _ClassVar[int]
    RUN_ENDED_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    data: TailSeriesResponse.Data
    mark: TailSeriesResponse.Mark
    lagged: TailSeriesResponse.Lagged
    run_ended: TailSeriesResponse.RunEnded
    cursor: bytes
    def __init__(self, data: _Optional[_Union[TailSeriesResponse.Data, _Mapping]] = ..., mark: _Optional[_Union[TailSeriesResponse.Mark, _Mapping]] = ..., lagged: _Optional[_Union[TailSeriesResponse.Lagged, _Mapping]] = ..., run_ended: _Optional[_Union[TailSeriesResponse.RunEnded, _Mapping]] = ..., cursor: _Optional[bytes] = ...) -> None: ...

class CompactMetricsRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class CompactMetricsResponse(_message.Message):
    __slots__ = ("done", "busy", "storage")
    DONE_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    done: bool
    busy: bool
    storage: MetricStorage
    def __init__(self, done: bool = ..., busy: bool = ..., storage: _Optional[_Union[MetricStorage, _Mapping]] = ...) -> None: ...

class GetMetricStorageRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetMetricStorageResponse(_message.Message):
    __slots__ = ("storage",)
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    storage: MetricStorage
    def __init__(self, storage: _Optional[_Union[MetricStorage, _Mapping]] = ...) -> None: ...

class MetricStorage(_message.Message):
    __slots__ = ("frames", "frame_bytes", "unfolded_frames", "unfolded_points", "blocks", "block_points", "block_bytes")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNFOLDED_FRAMES_FIELD_NUMBER: _ClassVar[int]
    UNFOLDED_POINTS_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_POINTS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_BYTES_FIELD_NUMBER: _ClassVar[int]
    frames: int
    frame_bytes: int
    unfolded_frames: int
    unfolded_points: int
    blocks: int
    block_points: int
    block_bytes: int
    def __init__(self, frames: _Optional[int] = ..., frame_bytes: _Optional[int] = ..., unfolded_frames: _Optional[int] = ..., unfolded_points: _Optional[int] = ..., blocks: _Optional[int] = ..., block_points: _Optional[int] = ..., block_bytes: _Optional[int] = ...) -> None: ...
