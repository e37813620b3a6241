package runwire

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Error is what the service, or the way to it, has to say. Find it with [errors.As].
type Error struct {
	// Code is that of gRPC.
	Code Code
	// Reason tells more than the code. Empty where something between us and the service failed.
	Reason Reason
	// Message is for people; not to be parsed.
	Message string
	// Metadata has what the message names, by name: "kind", "key", "field", "limit".
	Metadata map[string]string
	// RetryAfter is how long the service asks to be left alone; 0 where it does not.
	RetryAfter time.Duration

	cause error
}

// Error returns the message, after the reason or code.
func (e *Error) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("runwire: %s: %s", string(e.Reason), e.Message)
	}
	return fmt.Sprintf("runwire: %s: %s", string(e.Code), e.Message)
}

// Is tells whether target is this error's code or reason, or the context's word for it.
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case Code:
		return e.Code == target
	case Reason:
		return e.Reason == target
	}
	return target == context.Canceled && e.Code == CodeCancelled ||
		target == context.DeadlineExceeded && e.Code == CodeDeadlineExceeded
}

// Unwrap returns the error of the transport or of the context.
func (e *Error) Unwrap() error { return e.cause }

// Code is the name of a gRPC code. It is an error for the sake of [errors.Is].
type Code string

// Error returns its name.
func (c Code) Error() string { return string(c) }

// The codes that the service sends, or that come of a call that failed on its way.
const (
	CodeCancelled          Code = "CANCELLED"
	CodeUnknown            Code = "UNKNOWN"
	CodeInvalidArgument    Code = "INVALID_ARGUMENT"
	CodeDeadlineExceeded   Code = "DEADLINE_EXCEEDED"
	CodeNotFound           Code = "NOT_FOUND"
	CodeAlreadyExists      Code = "ALREADY_EXISTS"
	CodePermissionDenied   Code = "PERMISSION_DENIED"
	CodeResourceExhausted  Code = "RESOURCE_EXHAUSTED"
	CodeFailedPrecondition Code = "FAILED_PRECONDITION"
	CodeAborted            Code = "ABORTED"
	CodeOutOfRange         Code = "OUT_OF_RANGE"
	CodeUnimplemented      Code = "UNIMPLEMENTED"
	CodeInternal           Code = "INTERNAL"
	CodeUnavailable        Code = "UNAVAILABLE"
	CodeDataLoss           Code = "DATA_LOSS"
	CodeUnauthenticated    Code = "UNAUTHENTICATED"
)

// Reason is a name of the ErrorReason of the protos, without its prefix. It is an error for the
// sake of [errors.Is].
type Reason string

// Error returns its name.
func (r Reason) Error() string { return string(r) }

// Every reason; protos/runwire/v1/error.proto says what metadata each has.
const (
	ReasonNotFound           Reason = "NOT_FOUND"
	ReasonDeleted            Reason = "DELETED"
	ReasonAlreadyExists      Reason = "ALREADY_EXISTS"
	ReasonRequestIDReused    Reason = "REQUEST_ID_REUSED"
	ReasonFieldInvalid       Reason = "FIELD_INVALID"
	ReasonFilterSyntax       Reason = "FILTER_SYNTAX"
	ReasonPageTokenMismatch  Reason = "PAGE_TOKEN_MISMATCH"
	ReasonDigestMismatch     Reason = "DIGEST_MISMATCH"
	ReasonParamConflict      Reason = "PARAM_CONFLICT"
	ReasonRunSealed          Reason = "RUN_SEALED"
	ReasonBlobsMissing       Reason = "BLOBS_MISSING"
	ReasonStageChanged       Reason = "STAGE_CHANGED"
	ReasonTreeSealed         Reason = "TREE_SEALED"
	ReasonEtagMismatch       Reason = "ETAG_MISMATCH"
	ReasonAliasMoved         Reason = "ALIAS_MOVED"
	ReasonSequenceGap        Reason = "SEQUENCE_GAP"
	ReasonOffsetGap          Reason = "OFFSET_GAP"
	ReasonTooLarge           Reason = "TOO_LARGE"
	ReasonQuota              Reason = "QUOTA"
	ReasonOverloaded         Reason = "OVERLOADED"
	ReasonDraining           Reason = "DRAINING"
	ReasonInternal           Reason = "INTERNAL"
	ReasonUnimplemented      Reason = "UNIMPLEMENTED"
	ReasonStorageUnavailable Reason = "STORAGE_UNAVAILABLE"
	ReasonChecksumMismatch   Reason = "CHECKSUM_MISMATCH"
	ReasonDataDamaged        Reason = "DATA_DAMAGED"
	ReasonRevisionAhead      Reason = "REVISION_AHEAD"
)

// ErrClosed is what a client, writer or watcher says once it is closed.
var ErrClosed = errors.New("runwire: closed")

// invalid is what this side finds wrong with an argument before it asks the service.
func invalid(field, format string, args ...any) *Error {
	return &Error{
		Code:     CodeInvalidArgument,
		Reason:   ReasonFieldInvalid,
		Message:  field + ": " + fmt.Sprintf(format, args...),
		Metadata: map[string]string{"field": field},
	}
}

func errorOfContext(err error, doing string) *Error {
	code := CodeCancelled
	if errors.Is(err, context.DeadlineExceeded) {
		code = CodeDeadlineExceeded
	}
	return &Error{Code: code, Message: doing + ": " + err.Error(), cause: err}
}
