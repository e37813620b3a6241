// Command conformance does what requests on standard input say, with the Go client; see
// tests/conformance/README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/runwire/runwire/client/go"
)

type request struct {
	ID   int             `json:"id"`
	Op   string          `json:"op"`
	Args json.RawMessage `json:"args"`
}

type answer struct {
	ID    int      `json:"id"`
	OK    any      `json:"ok,omitempty"`
	Error *failure `json:"error,omitempty"`
}

type failure struct {
	Code       string            `json:"code"`
	Reason     string            `json:"reason"`
	Metadata   map[string]string `json:"metadata"`
	Message    string            `json:"message"`
	RetryAfter *float64          `json:"retry_after_s"`
}

type none = struct{}

func main() {
	r := &runner{}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var asked request
		if err := json.Unmarshal(line, &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		told, _ := json.Marshal(r.answer(asked))
		os.Stdout.Write(append(told, '\n'))
	}
	r.close()
}

func (r *runner) answer(asked request) (made answer) {
	made.ID = asked.ID
	op, known := r.ops()[asked.Op]
	if !known {
		made.Error = &failure{Code: "RUNNER", Message: "there is no op " + asked.Op}
		return made
	}
	ok, err := op(context.Background(), asked.Args)
	if err != nil {
		made.Error = told(err)
	} else {
		made.OK = ok
	}
	return made
}

// told is an error as the suite wants it; nil for none.
func told(err error) *failure {
	if err == nil {
		return nil
	}
	var e *runwire.Error
	if !errors.As(err, &e) {
		return &failure{Code: "RUNNER", Message: err.Error()}
	}
	made := &failure{Code: string(e.Code), Reason: string(e.Reason), Metadata: e.Metadata, Message: e.Message}
	if e.RetryAfter > 0 {
		seconds := e.RetryAfter.Seconds()
		made.RetryAfter = &seconds
	}
	return made
}

type op func(context.Context, json.RawMessage) (any, error)

// of makes an op of a function with arguments of its own.
func of[Args any, OK any](do func(context.Context, Args) (OK, error)) op {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var args Args
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, err
		}
		return do(ctx, args)
	}
}
