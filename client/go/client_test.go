package runwire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// fakeRuns answers by hooks.
type fakeRuns struct {
	runwirev1.UnimplementedRunServiceServer
	calls  atomic.Int32
	get    func(ctx context.Context, call int) error
	search func(token string) (*runwirev1.SearchRunsResponse, error)
}

func (f *fakeRuns) register(server *grpc.Server) { runwirev1.RegisterRunServiceServer(server, f) }

func (f *fakeRuns) GetRun(ctx context.Context, request *runwirev1.GetRunRequest) (*runwirev1.GetRunResponse, error) {
	err := f.get(ctx, int(f.calls.Add(1)))
	return &runwirev1.GetRunResponse{Run: &Run{RunId: request.RunId}}, err
}

func (f *fakeRuns) SearchRuns(_ context.Context, request *runwirev1.SearchRunsRequest) (*runwirev1.SearchRunsResponse, error) {
	return f.search(request.PageToken)
}

func TestErrorsOfTheServiceAreTyped(t *testing.T) {
	fake := &fakeRuns{get: func(context.Context, int) error { return refusal(codes.NotFound, ReasonDeleted, 0) }}
	_, err := serve(t, nil, fake.register).Runs.Get(within(t), "run")
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeNotFound || e.Reason != ReasonDeleted || e.Metadata["kind"] != "run" || e.Message != "because" {
		t.Fatalf("%#v", err)
	}
	if !errors.Is(err, ReasonDeleted) || !errors.Is(err, CodeNotFound) || errors.Is(err, ReasonNotFound) {
		t.Error("errors.Is does not tell")
	}
	if status.Code(errors.Unwrap(err)) != codes.NotFound {
		t.Error("the status of gRPC is not beneath")
	}
}

func TestCallsAreTriedAgainWhileTheServerIsAway(t *testing.T) {
	fake := &fakeRuns{get: func(_ context.Context, call int) error {
		if call < 3 {
			return refusal(codes.Unavailable, ReasonDraining, time.Millisecond)
		}
		return nil
	}}
	run, err := serve(t, nil, fake.register).Runs.Get(within(t), "run")
	if err != nil || run.RunId != "run" {
		t.Fatal(run, err)
	}
}

func TestCallsAreNotTriedAgainWhereThatIsOfNoUse(t *testing.T) {
	for name, refused := range map[string]error{
		"full disk": refusal(codes.Unavailable, ReasonStorageUnavailable, time.Millisecond),
		"bad field": refusal(codes.InvalidArgument, ReasonFieldInvalid, 0),
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeRuns{get: func(context.Context, int) error { return refused }}
			_, err := serve(t, nil, fake.register).Runs.Get(within(t), "run")
			if err == nil || fake.calls.Load() != 1 {
				t.Errorf("%d calls: %v", fake.calls.Load(), err)
			}
		})
	}
}

func TestOnlyWhatTheProtosAllowIsTriedAgain(t *testing.T) {
	for method, expected := range map[string]bool{
		runwirev1.RunService_GetRun_FullMethodName:               true,
		runwirev1.MetricService_LogBatch_FullMethodName:          true,
		runwirev1.MetricService_StreamBatches_FullMethodName:     false,
		runwirev1.ArtifactService_CommitArtifacts_FullMethodName: false,
	} {
		if isRepeatable(method) != expected {
			t.Errorf("%s: %v", method, !expected)
		}
	}
}

func TestCallEndsWithItsDeadlineOrThatOfTheClient(t *testing.T) {
	fake := &fakeRuns{get: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}
	client := serve(t, &Options{Timeout: 20 * time.Millisecond}, fake.register)
	if _, err := client.Runs.Get(context.Background(), "run"); !errors.Is(err, CodeDeadlineExceeded) {
		t.Errorf("the client's: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := client.Runs.Get(ctx, "run"); !errors.Is(err, context.Canceled) && !errors.Is(err, CodeDeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestEachCallSaysWhoCalls(t *testing.T) {
	fake := &fakeRuns{get: func(ctx context.Context, _ int) error {
		said, _ := metadata.FromIncomingContext(ctx)
		if got := fmt.Sprint(said.Get("runwire-client"), said.Get("runwire-user"), said.Get("authorization")); got != "[go/0.1.0] [J%C3%BCrgen%20X] [Bearer secret]" {
			return status.Error(codes.InvalidArgument, got)
		}
		return nil
	}}
	client := serve(t, &Options{Token: "secret", User: "Jürgen X"}, fake.register)
	if _, err := client.Runs.Get(within(t), "run"); err != nil {
		t.Error(err)
	}
}

func TestSearchReadsPagesAsTheyAreNeeded(t *testing.T) {
	asked := 0
	fake := &fakeRuns{search: func(token string) (*runwirev1.SearchRunsResponse, error) {
		asked++
		if token == "2" {
			return nil, refusal(codes.InvalidArgument, ReasonPageTokenMismatch, 0)
		}
		return &runwirev1.SearchRunsResponse{Runs: []*Run{{RunId: "a"}, {RunId: "b"}}, NextPageToken: token + "2"}, nil
	}}
	client := serve(t, nil, fake.register)
	for run, err := range client.Runs.Search(within(t), nil) {
		if err != nil || run.RunId != "a" {
			t.Fatal(run, err)
		}
		break
	}
	if asked != 1 {
		t.Errorf("%d pages were asked for", asked)
	}
	var failed error
	count := 0
	for _, err := range client.Runs.Search(within(t), nil) {
		failed = err
		count++
	}
	if count != 3 || !errors.Is(failed, ReasonPageTokenMismatch) {
		t.Errorf("%d pairs, then %v", count, failed)
	}
}

func TestClosedClientSaysSo(t *testing.T) {
	client := serve(t, nil, (&fakeRuns{}).register)
	client.Close()
	if _, err := client.Runs.Get(within(t), "run"); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestAddresses(t *testing.T) {
	for uri, expected := range map[string]string{
		"grpc://ada":                 "[ada:5001] false",
		"grpcs://ada,bob:6001":       "[ada:5001 bob:6001] true",
		"grpc://[::1]:7":             "[[::1]:7] false",
		"http://ada:5000/":           "http://ada:5000",
		"https://u:secret@ada:5/web": "https://u:secret@ada:5/web",
	} {
		found, err := readURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		got := found.web
		if got == "" {
			got = fmt.Sprint(found.endpoints, found.secure)
		}
		if got != expected {
			t.Errorf("%s: %s", uri, got)
		}
	}
	for _, uri := range []string{"", "./folder", "ada:5001", "grpc://", "grpc://ada/path", "http://a,b", "sqlite:///x"} {
		if _, err := readURI(uri); !errors.Is(err, ReasonFieldInvalid) {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

func TestWebPortTellsTheGRPCPort(t *testing.T) {
	for told, expected := range map[string]string{
		":6001": "127.0.0.1:6001", "0.0.0.0:6001": "127.0.0.1:6001", "ada:6001": "ada:6001", "": "127.0.0.1:5001",
	} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"grpc_endpoint": %q}`, told)
		}))
		found, err := discover(within(t), web.URL, nil)
		web.Close()
		if err != nil || found != expected {
			t.Errorf("%q: %s, %v", told, found, err)
		}
	}
}

func TestWebServersThatAreNotRunwireAreTold(t *testing.T) {
	for answer, expected := range map[int]error{http.StatusOK: ReasonFieldInvalid, http.StatusNotFound: ReasonFieldInvalid, http.StatusBadGateway: CodeUnavailable} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(answer) }))
		_, err := discover(within(t), web.URL, nil)
		web.Close()
		if !errors.Is(err, expected) {
			t.Errorf("%d: %v", answer, err)
		}
	}
}

func TestAnswerThatIsCutIsNotTakenForAnother(t *testing.T) {
	const whole = `{"grpc_endpoint": ":6001"}`
	for name, length := range map[string]string{"with its length": fmt.Sprint("Content-Length: ", len(whole), "\r\n"), "without": ""} {
		for cut := range len(whole) {
			if length == "" && cut == 0 {
				continue // an empty answer, which is whole
			}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(connection))
				fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\n%sConnection: close\r\n\r\n%s", length, whole[:cut])
				connection.Close()
			}()
			_, err = discover(within(t), "http://"+listener.Addr().String(), nil)
			listener.Close()
			if !errors.Is(err, CodeUnavailable) {
				t.Errorf("%s, after %d bytes: %v", name, cut, err)
			}
		}
	}
}

func TestRedirectsDoNotLeaveTLS(t *testing.T) {
	answer := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"grpc_endpoint": "ada:6001"}`) }
	plain := httptest.NewServer(http.HandlerFunc(answer))
	defer plain.Close()
	var to string
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			answer(w, r)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	}))
	defer secure.Close()
	config := secure.Client().Transport.(*http.Transport).TLSClientConfig
	to = plain.URL
	if found, err := discover(within(t), secure.URL, config); !errors.Is(err, ReasonFieldInvalid) {
		t.Errorf("without TLS: %s, %v", found, err)
	}
	to = secure.URL + "/there"
	if found, err := discover(within(t), secure.URL, config); err != nil || found != "ada:6001" {
		t.Errorf("with TLS: %s, %v", found, err)
	}
	to = secure.URL + "/again"
	if found, err := discover(within(t), secure.URL, config); !errors.Is(err, CodeUnavailable) {
		t.Errorf("for ever: %s, %v", found, err)
	}
}

func TestEveryReasonOfTheProtosHasAName(t *testing.T) {
	named := map[Reason]bool{}
	for _, one := range []Reason{
		ReasonNotFound, ReasonDeleted, ReasonAlreadyExists, ReasonRequestIDReused, ReasonFieldInvalid,
		ReasonFilterSyntax, ReasonPageTokenMismatch, ReasonDigestMismatch, ReasonParamConflict, ReasonRunSealed,
		ReasonBlobsMissing, ReasonStageChanged, ReasonTreeSealed, ReasonEtagMismatch, ReasonAliasMoved,
		ReasonSequenceGap, ReasonOffsetGap, ReasonTooLarge, ReasonQuota, ReasonOverloaded, ReasonDraining,
		ReasonInternal, ReasonUnimplemented, ReasonStorageUnavailable, ReasonChecksumMismatch, ReasonDataDamaged,
		ReasonRevisionAhead,
	} {
		named["ERROR_REASON_"+one] = true
	}
	for name, number := range runwirev1.ErrorReason_value {
		if number != 0 && !named[Reason(name)] {
			t.Errorf("%s has none", name)
		}
	}
}
