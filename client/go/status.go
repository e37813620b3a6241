package runwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// errorOf translates what a call came to; uri is what the user connected to. The end of a
// stream, and what is translated already, stay as they are.
func errorOf(err error, uri string) error {
	var ours *Error
	if err == nil || err == io.EOF || errors.As(err, &ours) || errors.Is(err, ErrClosed) {
		return err
	}
	said := status.Convert(err)
	made := &Error{Code: codeOf(said.Code()), Message: said.Message(), cause: err}
	for _, detail := range said.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			made.Reason, made.Metadata = Reason(detail.Reason), detail.Metadata
		case *errdetails.RetryInfo:
			made.RetryAfter = detail.RetryDelay.AsDuration()
		}
	}
	if made.Reason == "" {
		explain(made, uri)
	}
	return made
}

// explain: the transport, or something between us and the service, ended the call.
func explain(e *Error, uri string) {
	switch {
	case e.Code == CodeResourceExhausted && strings.Contains(e.Message, "larger than max"):
		e.Reason = ReasonTooLarge
		e.Message = fmt.Sprintf("the message is too large for %s: %s", uri, e.Message)
	case e.Code == CodeUnavailable:
		e.Message = fmt.Sprintf("no Runwire server answers at %s (%s). Is it running, is this its "+
			"gRPC port (5001 unless told otherwise) or its web address (http://HOST:5000), and "+
			"does a firewall or proxy stand between?", uri, e.Message)
	case e.Code == CodeDeadlineExceeded:
		e.Message = fmt.Sprintf("%s did not answer in time (%s)", uri, e.Message)
	case e.Code == CodeUnimplemented:
		e.Message = fmt.Sprintf("%s does not offer this call (%s): another version, or no Runwire server", uri, e.Message)
	}
}

func codeOf(code codes.Code) Code {
	for _, one := range codeNames {
		if one.code == code {
			return one.name
		}
	}
	return CodeUnknown
}

var codeNames = []struct {
	code codes.Code
	name Code
}{
	{codes.Canceled, CodeCancelled},
	{codes.InvalidArgument, CodeInvalidArgument},
	{codes.DeadlineExceeded, CodeDeadlineExceeded},
	{codes.NotFound, CodeNotFound},
	{codes.AlreadyExists, CodeAlreadyExists},
	{codes.PermissionDenied, CodePermissionDenied},
	{codes.ResourceExhausted, CodeResourceExhausted},
	{codes.FailedPrecondition, CodeFailedPrecondition},
	{codes.Aborted, CodeAborted},
	{codes.OutOfRange, CodeOutOfRange},
	{codes.Unimplemented, CodeUnimplemented},
	{codes.Internal, CodeInternal},
	{codes.Unavailable, CodeUnavailable},
	{codes.DataLoss, CodeDataLoss},
	{codes.Unauthenticated, CodeUnauthenticated},
}

// faultCodes has the code that each reason comes with: an entry's fault inside a batch carries
// the reason alone.
var faultCodes = map[Reason]Code{
	ReasonNotFound:           CodeNotFound,
	ReasonDeleted:            CodeNotFound,
	ReasonAlreadyExists:      CodeAlreadyExists,
	ReasonFieldInvalid:       CodeInvalidArgument,
	ReasonDigestMismatch:     CodeInvalidArgument,
	ReasonParamConflict:      CodeFailedPrecondition,
	ReasonTooLarge:           CodeResourceExhausted,
	ReasonQuota:              CodeResourceExhausted,
	ReasonStorageUnavailable: CodeUnavailable,
	ReasonDataDamaged:        CodeDataLoss,
	ReasonInternal:           CodeInternal,
}

// errorOfFault is the error of one entry of a batch, as a call of its own would have had it.
func errorOfFault(fault *runwirev1.Fault) *Error {
	code, known := faultCodes[Reason(fault.Reason)]
	if !known {
		code = CodeUnknown
	}
	return &Error{Code: code, Reason: Reason(fault.Reason), Message: fault.Message, Metadata: fault.Metadata}
}

// isPassing tells whether the same call may succeed in a moment.
func isPassing(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	if e.Code == CodeResourceExhausted {
		return e.RetryAfter > 0
	}
	return e.Code == CodeUnavailable && e.Reason != ReasonStorageUnavailable
}

// ended is the context's word for a failure, where it is what ended the call.
func ended(ctx context.Context, err error, doing string) error {
	var ours *Error
	isTold := errors.As(err, &ours) && (ours.Code == CodeCancelled || ours.Code == CodeDeadlineExceeded)
	if ctx.Err() != nil && !isTold {
		return errorOfContext(ctx.Err(), doing)
	}
	return err
}
